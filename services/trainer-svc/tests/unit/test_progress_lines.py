"""Lines of a recipe: read back as they were said, and alone on standard output."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from trainer_svc.recipes.progress import Checkpointed, Failed, Stopped, parse_line

NOISY = """
import os, sys
from trainer_svc.recipes.progress import ProgressStream, Stopped
progress = ProgressStream.taking_stdout()
print("a library prints")
os.write(1, b"a C library writes\\n")
progress.say(Stopped(step=3))
"""


@pytest.mark.parametrize(
    "line",
    [
        Checkpointed(step=5, epoch=0.5, path="/x/checkpoint-5", size_bytes=12),
        Failed(code="training.no-data", reason="nothing\nat all", advice="add 자료"),
    ],
)
def test_reads_back_what_was_said(line) -> None:
    text = line.model_dump_json()
    assert "\n" not in text
    assert parse_line(text) == line


@pytest.mark.parametrize("text", ["", "Loading weights: 100%", '{"kind": "strange"}', '{"kind": "stopped"}'])
def test_refuses_what_is_not_a_line(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_line(text)


def test_ignores_fields_of_later_versions() -> None:
    assert parse_line('{"kind": "stopped", "step": 1, "mood": "calm"}') == Stopped(step=1)


def test_standard_output_carries_lines_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, text=True, check=True)
    assert [parse_line(text) for text in done.stdout.splitlines()] == [Stopped(step=3)]
    assert "a library prints" in done.stderr
    assert "a C library writes" in done.stderr
