"""Measures how well and how fast personal data is found, against ko-pii and Presidio in the same run; `names.py` has names.

Run: python services/dataset-svc/bench/personal_data.py [--peer .venv-bench/bin/python] [--texts FILE]
"""
# ruff: noqa: INP001 - a script beside the package

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import corpus
import msgspec
from names import Peer
from personal_data_suite import TECHNICAL_PROSE, cases

from dataset_svc.domain.personal.masking import mask_text
from dataset_svc.domain.personal.personal_data import Finder
from dataset_svc.domain.warming import warm_up

_SAMPLE_CHARS = 480  # mean length of a chat sample
_BATCH = 2000  # samples, as builds do
_CHAT_ROWS = 20_000
_PEER_ROWS = 3_000


class _Turn(msgspec.Struct):
    content: str


class _Chat(msgspec.Struct):
    messages: list[_Turn]


class _Text(msgspec.Struct):
    text: str


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer", type=Path, help="Python with ko-pii and presidio-analyzer; without it only ours is measured"
    )
    parser.add_argument("--texts", type=Path, help="lines of {text}, for the speed where every word is new")
    options = parser.parse_args(arguments)
    warm_up()
    measure_suite()
    if options.peer is not None:
        measure_documents(Peer(options.peer))
    texts = list(TECHNICAL_PROSE)
    if options.texts:
        texts = [msgspec.json.decode(line, type=_Text).text for line in options.texts.read_bytes().splitlines()]
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


def measure_documents(peer: Peer) -> None:
    """Official documents that ko-pii's authors made: what of each kind is covered wholly, whatever it is taken for."""
    documents = peer.documents()
    texts = [document.text for document in documents]
    ours = [[(one.start, one.end) for one in found] for found in Finder().find(texts)]
    theirs = [[(start, end) for _, start, end in found] for found in peer.find(texts)]
    wanted: Counter[str] = Counter()
    hit: dict[str, Counter[str]] = {"ours": Counter(), "ko-pii": Counter()}
    for document, *both in zip(documents, ours, theirs, strict=True):
        for label, start, end in document.spans:
            wanted[label] += 1
            for name, spans in zip(hit, both, strict=True):
                hit[name][label] += any(first <= start and end <= last for first, last in spans)
    say(f"{'official documents':26}{'cases':>7}{'ours':>9}{'ko-pii':>11}")
    for label, count in wanted.items():
        say(f"{label:26}{count:7}{hit['ours'][label] / count:9.3f}{hit['ko-pii'][label] / count:11.3f}")


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
