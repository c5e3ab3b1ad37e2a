"""Measures how well names of persons are found, alone, against ko-pii in the same run.

    python services/dataset-svc/bench/names.py [--peer .venv-bench/bin/python] [--names FILE] [--manuals FOLDER ...]

FILE holds lines of `{id, text, persons}`; its halves by hash of id are told apart, since rules were tuned on the even one.
The peer makes 400 official documents with the places of their persons: its authors' corpus, which it was written on.
FOLDERs hold HTML of manuals, whose paragraphs name next to nobody: what a distribution's packages of them unpack to
(libreoffice-help-ko, gimp-help-ko, libreoffice-help-en-us, ...). Their halves by hash are told apart for the same reason.
"""
# ruff: noqa: INP001 - a script beside the package

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from personal_data_prose import technical_prose
from personal_data_suite import TECHNICAL_PROSE

from dataset_svc.adapters.document_formats import read_html
from dataset_svc.domain.personal.person_names import NameFinder, Span
from dataset_svc.domain.personal.scans import scan
from loopwright.errors import Invalid

_LETTERS = 15  # of a paragraph at least
_LONGEST = 1500  # characters of a paragraph
_HANGUL = re.compile("[가-힣]")
_DOCUMENTS = 400
_LIMIT = 20  # false names per 1,000 samples of technical prose
_GOAL = 0.93
_PERSON = "PERSON"
_Row = TypeVar("_Row")
Labelled = tuple[str, int, int]
Finder = Callable[[Sequence[str]], list[list[Span]]]


class NamedText(msgspec.Struct):
    """A text and the persons that it names, each as often as it does."""

    text: str
    persons: list[str]
    id: str = ""


class PlacedText(msgspec.Struct):
    """A text and what is personal in it: label, start, end."""

    text: str
    spans: list[Labelled]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="Python with ko-pii; without it only ours is measured")
    parser.add_argument("--names", type=Path, help="lines of {id, text, persons}")
    parser.add_argument("--manuals", type=Path, nargs="*", default=[], help="folders with HTML")
    options = parser.parse_args(arguments)
    finders: dict[str, Finder] = {"ours": names_in}
    documents: list[PlacedText] = []
    if options.peer is not None:
        peer = Peer(options.peer)
        finders["ko-pii"], documents = peer.names_in, peer.documents()
    rows = _rows(options.names) if options.names else []
    proses = {
        "technical prose of the suite": list(TECHNICAL_PROSE),
        "harder technical prose": list(technical_prose()),
        "sentences that the chat is made of": [text for language in ("ko", "en") for text in _sentences(language)],
    }
    for folder in options.manuals:
        proses |= {f"{folder.name}, {half}": part for half, part in _halves(paragraphs_of_manual(folder), str).items()}
    for name, find in finders.items():
        if documents:
            measure_documents(name, documents, find)
        for half, part in _halves(rows, lambda row: row.id).items():
            measure_names(name, half, part, find)
        for prose, texts in proses.items():
            measure_prose(name, prose, texts, find)


def _rows(path: Path) -> list[NamedText]:
    return [msgspec.json.decode(line, type=NamedText) for line in path.read_bytes().splitlines()]


def names_in(texts: Sequence[str]) -> list[list[Span]]:
    found = NameFinder().find(texts, scan(texts))
    return [found.get(number, []) for number in range(len(texts))]


def _persons(spans: Iterable[Labelled]) -> list[Span]:
    return [(start, end) for label, start, end in spans if label == _PERSON]


class Peer:
    """ko-pii, in an environment of its own."""

    def __init__(self, python: Path) -> None:
        self._command = (str(python), str(Path(__file__).with_name("names_peer.py")))

    def names_in(self, texts: Sequence[str]) -> list[list[Span]]:
        return list(map(_persons, self.find(texts)))

    def find(self, texts: Sequence[str]) -> list[list[Labelled]]:
        return msgspec.json.decode(self._run("find", json.dumps(list(texts)).encode()), type=list[list[Labelled]])

    def documents(self) -> list[PlacedText]:
        return msgspec.json.decode(self._run("documents", str(_DOCUMENTS).encode()), type=list[PlacedText])

    def _run(self, what: str, given: bytes) -> bytes:
        return subprocess.run((*self._command, what), input=given, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603


def paragraphs_of_manual(folder: Path) -> list[str]:
    """Each paragraph once: Korean ones where the manual is Korean, else those that are sentences."""
    found: dict[str, None] = {}
    for path in sorted(folder.rglob("*.html")):
        try:
            found.update(dict.fromkeys(block.text for block in read_html(path.read_bytes(), 0)))
        except Invalid:  # of an encoding that is not read
            continue
    texts = [text for text in found if len(text) <= _LONGEST]
    korean = [text for text in texts if len(_HANGUL.findall(text)) >= _LETTERS]
    return korean or [text for text in texts if len(text.split()) > _LETTERS // 3]


def _halves(rows: Sequence[_Row], key: Callable[[_Row], str]) -> dict[str, list[_Row]]:
    if not rows:
        return {}
    halves: dict[str, list[_Row]] = {"even half (tuned on)": [], "odd half (never looked at)": []}
    even, odd = halves.values()
    for row in rows:
        (odd if int(hashlib.sha256(key(row).encode()).hexdigest(), 16) % 2 else even).append(row)
    return halves


def _sentences(language: str) -> list[str]:
    lines = Path(__file__).with_name(f"sentences_{language}.txt").read_text(encoding="utf8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def measure_documents(name: str, documents: Sequence[PlacedText], find: Finder) -> None:
    wanted = hit = wrong = 0
    for document, spans in zip(documents, find([document.text for document in documents]), strict=True):
        persons = _persons(document.spans)
        wanted += len(persons)
        hit += sum(any(s <= a and b <= e for s, e in spans) for a, b in persons)
        wrong += sum(not any(s < b and a < e for a, b in persons) for s, e in spans)
    recall = hit / max(1, wanted)
    say(f"{name}: {len(documents)} official documents: recall {recall:.3f} of {wanted}, {wrong} wrong; goal {_GOAL}")


def measure_names(name: str, half: str, rows: Sequence[NamedText], find: Finder) -> None:
    """A person counts as found where no part of one mention is left readable; a span is right if it touches a mention."""
    wanted = hit = right = wrong = 0
    for row, spans in zip(rows, find([row.text for row in rows]), strict=True):
        mentions = {person: [m.span() for m in re.finditer(re.escape(person), row.text)] for person in row.persons}
        for person, times in Counter(row.persons).items():
            covered = sum(any(s <= a and b <= e for s, e in spans) for a, b in mentions[person])
            wanted, hit = wanted + times, hit + min(times, covered)
        for s, e in spans:
            touches = any(s < b and a < e for places in mentions.values() for a, b in places)
            right, wrong = right + touches, wrong + (not touches)
    recall, precision = hit / max(1, wanted), right / max(1, right + wrong)
    say(f"{name}: {half}: recall {recall:.3f} of {wanted}, precision {precision:.3f}; goal {_GOAL}")


def measure_prose(name: str, prose: str, texts: Sequence[str], find: Finder) -> None:
    found = sum(map(len, find(texts)))
    say(
        f"{name}: {prose}: {1000 * found / max(1, len(texts)):.1f} names per 1,000 of {len(texts)} samples; limit {_LIMIT}"
    )


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
