"""Samples with tools: every objective gives tools and calls to the model's own chat template."""

import io
import json
import shutil
from importlib import import_module
from pathlib import Path

import pytest
from recipe_runs import SETTINGS, WARNINGS, describe_job
from transformers import AutoTokenizer

from trainer_svc.recipes.progress import ProgressStream
from trainer_svc.recipes.running import Run
from trainer_svc.recipes.stopping import Stop
from trainer_svc.recipes.tracking import Tracker

pytestmark = WARNINGS
TEMPLATE = """{%- for tool in tools or [] %}<system> {{ tool.function.name }} <end> {% endfor -%}
{%- for message in messages %}<{{ message.role }}> {{ message.content }}
{%- for call in message.tool_calls or [] %} {{ call.function.name }} {{ call.function.arguments.line }}{% endfor %} <end> {% endfor -%}
{%- if add_generation_prompt %}<assistant> {% endif -%}"""
TOOLS = [{"type": "function", "function": {"name": "retry", "parameters": {"type": "object"}}}]
CALL = json.dumps([{"type": "function", "function": {"name": "retry", "arguments": '{"line": "link"}'}}])
ROW: dict[str, object] = {
    "tools": json.dumps(TOOLS),
    "messages": [
        {"role": "user", "content": "link down"},
        {"role": "assistant", "content": CALL, "tool_calls": CALL},
        {"role": "user", "content": "done"},
        {"role": "assistant", "content": "ok"},
    ],
}
PROMPT = "<system> retry <end> <user> link down <end> <assistant> retry link <end> <user> done <end> <assistant>"


@pytest.fixture
def model_with_tools(tiny_model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("objective", "extra", "columns"),
    [
        ("sft", [{}, {}], ("input_ids",)),
        ("dpo", [{"rejected": "error"}, {"rejected": "error"}], ("prompt_ids", "chosen_ids")),
        ("kto", [{"thumb": True}, {"thumb": False}], ("prompt_ids", "completion_ids")),
    ],
)
def test_are_rendered_with_tools_and_calls(
    model_with_tools: Path,
    tmp_path: Path,
    objective: str,
    extra: list[dict[str, object]],
    columns: tuple[str, ...],
) -> None:
    plain = [{"role": "user", "content": "fan ok"}, {"role": "assistant", "content": "normal"}]
    rows = [ROW | extra[0], {"messages": plain} | extra[1]]
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps({"sample_id": "s"} | row) + "\n" for row in rows))
    job = describe_job(
        tmp_path / "job", base_model=model_with_tools, train_file=file, objective=objective, hyperparameters=SETTINGS
    )

    set_up = import_module(f"trainer_svc.recipes.{objective}").set_up
    lesson = set_up(Run(job, ProgressStream(io.StringIO()), Stop(), Tracker(None)))

    texts = {
        lesson.tokenizer.decode([token for column in columns for token in row[column]])
        for row in lesson.trainer.train_dataset
    }
    assert texts == {f"{PROMPT} ok <end>", "<user> fan ok <end> <assistant> normal <end>"}
