"""Measures how well and how fast personal data is found, against Presidio in the same run.

Run: python services/dataset-svc/bench/personal_data.py [--peer .venv-bench/bin/python] [--names FILE] [--prose FILE ...]

FILE holds lines of `{id, text, persons}`; the figures for the halves by hash of id are printed apart, since rules were
tuned on the even one.
"""
# ruff: noqa: INP001 - a script beside the package

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import corpus
import msgspec
from personal_data_prose import technical_prose
from personal_data_suite import TECHNICAL_PROSE, cases

from dataset_svc.domain.personal.masking import mask_text
from dataset_svc.domain.personal.person_names import NameFinder, Span
from dataset_svc.domain.personal.personal_data import Finder
from dataset_svc.domain.personal.scans import scan

_SAMPLE_CHARS = 480  # mean length of a chat sample
_BATCH = 2000  # samples, as builds do
_CHAT_ROWS = 20_000
_PEER_ROWS = 3_000


class _Turn(msgspec.Struct):
    content: str


class _Chat(msgspec.Struct):
    messages: list[_Turn]


class NamedText(msgspec.Struct):
    """A text and the persons that it names, each as often as it does."""

    text: str
    persons: list[str]
    id: str = ""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="Python with presidio-analyzer; without it only ours is measured")
    parser.add_argument("--names", type=Path, help="lines of {id, text, persons}")
    parser.add_argument("--prose", type=Path, nargs="*", default=[], help="technical texts without persons, one a line")
    options = parser.parse_args(arguments)
    measure_suite()
    measure_prose("technical prose of the suite", TECHNICAL_PROSE)
    measure_prose("harder technical prose", list(technical_prose()))
    measure_prose(
        "sentences that the chat is made of", [text for language in ("ko", "en") for text in _sentences(language)]
    )
    for path in options.prose:
        measure_prose(path.name, path.read_text(errors="replace").splitlines())
    texts = list(TECHNICAL_PROSE)
    if options.names:
        rows = msgspec.json.decode(
            b"[" + b",".join(options.names.read_bytes().splitlines()) + b"]", type=list[NamedText]
        )
        for half, name in ((0, "even half (tuned on)"), (1, "odd half (never looked at)")):
            measure_names(
                name, [row for row in rows if int(hashlib.sha256(row.id.encode()).hexdigest(), 16) % 2 == half]
            )
        texts = [row.text for row in rows]
    measure_speed(texts)
    with tempfile.TemporaryDirectory() as folder:
        measure_chat(Path(folder), options.peer)


def measure_suite() -> None:
    wanted: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    every = list(cases())
    for case, spans in zip(every, Finder().find([case.text for case in every]), strict=True):
        kinds = [finding.kind for finding in spans]
        if case.kind is not None:
            wanted[case.kind] += 1
            hit[case.kind] += case.value not in mask_text(case.text)[0] and case.kind in kinds
        wrong.update(kind for kind in kinds if kind != case.kind)
    say(f"{'kind':26}{'cases':>7}{'recall':>9}{'precision':>11}")
    for kind in sorted({*wanted, *wrong}):
        found = hit[kind] + wrong[kind]
        say(f"{kind:26}{wanted[kind]:7}{hit[kind] / max(1, wanted[kind]):9.3f}{hit[kind] / max(1, found):11.3f}")
    structured = [kind for kind in wanted if kind != "name"]
    say(f"structured recall {sum(hit[k] for k in structured) / sum(wanted[k] for k in structured):.4f}")


def measure_prose(name: str, texts: Sequence[str]) -> None:
    found = sum(map(len, names_in(texts)))
    say(f"{name}: {1000 * found / max(1, len(texts)):.1f} names per 1,000 of {len(texts)} samples")


def _sentences(language: str) -> list[str]:
    lines = Path(__file__).with_name(f"sentences_{language}.txt").read_text(encoding="utf8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def names_in(texts: Sequence[str]) -> list[list[Span]]:
    found = NameFinder().find(texts, scan(texts))
    return [found.get(number, []) for number in range(len(texts))]


def measure_names(name: str, rows: Sequence[NamedText]) -> None:
    """A person counts as found where no part of one mention is left readable; a span is right if it touches a mention."""
    wanted = hit = right = wrong = 0
    for row, spans in zip(rows, names_in([row.text for row in rows]), strict=True):
        mentions = {person: [m.span() for m in re.finditer(re.escape(person), row.text)] for person in row.persons}
        for person, times in Counter(row.persons).items():
            covered = sum(any(s <= a and b <= e for s, e in spans) for a, b in mentions[person])
            wanted, hit = wanted + times, hit + min(times, covered)
        for s, e in spans:
            touches = any(s < b and a < e for places in mentions.values() for a, b in places)
            right, wrong = right + touches, wrong + (not touches)
    say(f"names, {name}: recall {hit / max(1, wanted):.3f} of {wanted}, precision {right / max(1, right + wrong):.3f}")


def measure_speed(texts: Sequence[str]) -> None:
    joined = " ".join(texts)
    samples = [joined[start : start + _SAMPLE_CHARS] for start in range(0, len(joined), _SAMPLE_CHARS)]
    finder = Finder()
    for name in ("first pass", "second pass"):
        began = time.perf_counter()
        for first in range(0, len(samples), _BATCH):
            finder.find(samples[first : first + _BATCH])
        rate = len(samples) / (time.perf_counter() - began)
        say(f"{name}: {rate:,.0f} samples of {_SAMPLE_CHARS} characters a second")


def measure_chat(folder: Path, peer: Path | None) -> None:
    """Chat rows of the ingest benchmark: every kind of personal data and names, against the peer's patterns alone."""
    corpus.write(folder, rows=_CHAT_ROWS, seed=5)
    lines = (folder / "corpus.jsonl").read_bytes().splitlines()
    rows = [msgspec.json.decode(line, type=_Chat) for line in lines]
    texts = ["\n".join(turn.content for turn in row.messages) for row in rows]
    finder = Finder()
    finder.find(texts)
    began = time.perf_counter()
    for first in range(0, len(texts), _BATCH):
        finder.find(texts[first : first + _BATCH])
    ours = len(texts) / (time.perf_counter() - began)
    chars = sum(map(len, texts)) / len(texts)
    say(f"chat: {ours:,.0f} samples of {chars:.0f} characters a second on one core, names included; goal 5,000")
    if peer is not None:
        few = texts[:_PEER_ROWS]
        (folder / "texts.json").write_text(json.dumps(few))
        script = Path(__file__).with_name("personal_data_peer.py")
        command = (str(peer), str(script), str(folder / "texts.json"))
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - the peer's own Python
        theirs = len(few) / json.loads(done.stdout)["seconds"]
        say(f"presidio, patterns alone: {theirs:,.0f} samples a second; ratio {ours / theirs:.1f} x, goal 10 x")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
