# ruff: noqa: INP001, S311 (a script beside the package; its randomness is for measuring, not for secrets)
"""Writes chat rows in Korean and English for benchmarks, and apart from them what was planted: the truth to measure by.

Run: python services/dataset-svc/bench/corpus.py --rows 200000 --out FOLDER (about 213 MB). Equal arguments give equal bytes.
Sentences come from a chain of order two over `sentences_*.txt`, so they are varied rather than sensible.
"""

import argparse
import json
import random
import sys
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from planted import PLANTED, TOXIC, Language

_KOREAN_0_1: Final = 0.55
_COPIES_0_1: Final = 0.15
_PERSONAL_0_1: Final = 0.20
_TOXIC_0_1: Final = 0.01
_INSERTED_0_1: Final = 0.12
_LEAP_0_1: Final = 0.10  # words after which only the last one decides, so that the chain leaves its sentences
_CHARS_MEAN, _CHARS_DEVIATION, _CHARS_LEAST = 402, 85, 200  # sentences overshoot it by sixty
_REMEMBERED_ROWS: Final = 20_000  # a copy is of one of so many base rows before it
_COPY_KINDS: Final = {"spacing": 25, "light": 25, "medium": 22, "heavy": 16, "append": 12}
_WORDS_CHANGED: Final = {"light": (1, 2), "medium": (3, 5), "heavy": (7, 14)}
_SYSTEM: Final = {"ko": "질문에 짧고 정확하게 답하세요.", "en": "Answer briefly and precisely."}


class Marked(NamedTuple):
    """A word with personal data in it: `text[start:stop]`, of a kind."""

    text: str
    kind: str
    start: int
    stop: int


Word = str | Marked


@dataclass(frozen=True, kw_only=True)
class Row:
    """One conversation before it is written."""

    number: int
    language: Language
    category: str
    question: list[Word]
    answer: list[Word]
    toxic: bool = False


@dataclass(kw_only=True)
class Chain:
    """Which words follow which; sentences start by category, or anywhere under the empty name."""

    starts: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    after_two: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    after_one: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    words: list[str] = field(default_factory=list)


def chain_of(language: Language) -> Chain:
    chain, category = Chain(), ""
    for line in (Path(__file__).parent / f"sentences_{language}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            category = line[2:]
            continue
        words = line.split()
        for name in (category, ""):
            chain.starts[name].append((words[0], words[1]))
        chain.words += words
        for one, two, three in zip(words, words[1:], words[2:], strict=False):
            chain.after_two[one, two].append(three)
            chain.after_one[two].append(three)
    return chain


class Writer:
    """Makes rows one after another."""

    def __init__(self, *, seed: int) -> None:
        self._rng = random.Random(seed)
        self._chains: dict[Language, Chain] = {"ko": chain_of("ko"), "en": chain_of("en")}
        self._recent: deque[Row] = deque(maxlen=_REMEMBERED_ROWS)
        self._number = 0

    def next_row(self) -> tuple[Row, Row | None, str]:
        """A row, and if it is a copy: of which row, and of which kind."""
        number, self._number = self._number, self._number + 1
        if self._recent and self._rng.random() < _COPIES_0_1:
            source = self._recent[int(self._rng.random() * len(self._recent))]
            [kind] = self._rng.choices(list(_COPY_KINDS), list(_COPY_KINDS.values()))
            return self._copy(source, number, kind), source, kind
        row = self._base(number)
        self._recent.append(row)
        return row, None, ""

    def rating(self) -> int:
        return 1 + int(self._rng.random() * 5)

    def _base(self, number: int) -> Row:
        rng = self._rng
        language: Language = "ko" if rng.random() < _KOREAN_0_1 else "en"
        categories = [name for name in self._chains[language].starts if name]
        category = categories[int(rng.random() * len(categories))]
        chars = max(_CHARS_LEAST, int(rng.gauss(_CHARS_MEAN, _CHARS_DEVIATION)))
        asked = int(chars * (0.2 + 0.25 * rng.random()))
        row = Row(
            number=number,
            language=language,
            category=category,
            question=self._passage(language, category, chars=asked),
            answer=self._passage(language, category, chars=chars - asked),
            toxic=rng.random() < _TOXIC_0_1,
        )
        if rng.random() < _PERSONAL_0_1:
            self._plant(row.question if rng.random() < 0.7 else row.answer, PLANTED[language])
        if row.toxic:
            self._insert(row.question, [*rng.choice(TOXIC[language]).split()])
        return row

    def _passage(self, language: Language, category: str, *, chars: int) -> list[Word]:
        words: list[Word] = []
        while chars > 0:
            sentence = self._sentence(self._chains[language], category)
            category = ""  # only the first sentence keeps to the point, or the rows would all be alike
            words += sentence
            chars -= sum(map(len, sentence)) + len(sentence)
        return words

    def _sentence(self, chain: Chain, category: str) -> list[str]:
        """At least two words, at most about 45."""
        draw, after_two, after_one, words = self._rng.random, chain.after_two, chain.after_one, chain.words
        starts = chain.starts[category]
        one, two = starts[int(draw() * len(starts))]
        sentence = [one, two]
        while (following := after_two.get((one, two))) and len(sentence) < 40:
            if draw() < _LEAP_0_1:
                following = after_one[two]
            one, two = two, following[int(draw() * len(following))]
            if draw() < _INSERTED_0_1:
                sentence.append(words[int(draw() * len(words))])
            sentence.append(two)
        return sentence

    def _plant(self, words: list[Word], makers: list[Callable[[random.Random], str]]) -> None:
        """One or two sentences with personal data, marked as `<kind|value>` by their makers."""
        for _ in range(1 + (self._rng.random() < 0.3)):
            self._insert(words, [_marked(text) for text in self._rng.choice(makers)(self._rng).split("_")])

    def _insert(self, words: list[Word], sentence: list[Word]) -> None:
        """Between two sentences, or at an end."""
        ends = [0, *(place + 1 for place, word in enumerate(words) if _text(word).endswith((".", "?")))]
        place = self._rng.choice(ends)
        words[place:place] = sentence

    def _copy(self, source: Row, number: int, kind: str) -> Row:
        question, answer = source.question[:], source.answer[:]
        if kind == "spacing":
            place = int(self._rng.random() * len(answer))
            if isinstance(word := answer[place], str):
                answer[place] = " " + word
            if isinstance(word := question[0], str):
                question[0] = word.swapcase()
        elif kind == "append":
            chars = 30 + int(self._rng.random() * 120)
            answer += self._passage(source.language, source.category, chars=chars)
        else:
            for _ in range(self._rng.randint(*_WORDS_CHANGED[kind])):
                self._change(question if self._rng.random() < 0.3 else answer, self._chains[source.language])
        return Row(
            number=number,
            language=source.language,
            category=source.category,
            question=question,
            answer=answer,
            toxic=source.toxic,
        )

    def _change(self, words: list[Word], chain: Chain) -> None:
        place = int(self._rng.random() * len(words))
        if isinstance(words[place], str):
            words[place] = chain.words[int(self._rng.random() * len(chain.words))]


def _text(word: Word) -> str:
    return word if isinstance(word, str) else word.text


def _marked(text: str) -> Word:
    """`<phone|010-1234-5678>로` is a word with a phone number and a particle after it."""
    before, mark, rest = text.partition("<")
    if not mark:
        return text
    inner, _, after = rest.partition(">")
    kind, _, value = inner.partition("|")
    return Marked(before + value + after, kind.replace("-", "_"), len(before), len(before) + len(value))


class Written(NamedTuple):
    """A message, and its personal data."""

    text: str
    spans: list[tuple[str, int, int]]


def written(words: list[Word]) -> Written:
    spans: list[tuple[str, int, int]] = []
    texts: list[str] = []
    place = 0
    for word in words:
        if isinstance(word, Marked):
            spans.append((word.kind, place + word.start, place + word.stop))
        texts.append(_text(word))
        place += len(texts[-1]) + 1
    return Written(" ".join(texts), spans)


def true_jaccard(one: Row, other: Row) -> float:
    """Of the sets of 3-grams of lower-cased words of question and answer together."""
    first, second = (_word_grams(row) for row in (one, other))
    return len(first & second) / len(first | second)


def _word_grams(row: Row) -> set[tuple[str, ...]]:
    words = f"{written(row.question).text}\n{written(row.answer).text}".lower().split()
    return set(zip(words, words[1:], words[2:], strict=False))


def write(out: Path, *, rows: int, seed: int) -> None:
    """Writes `corpus.jsonl`, and the truth: `copies.jsonl`, `personal_data.jsonl` (spans in characters), `toxic.jsonl`."""
    out.mkdir(parents=True, exist_ok=True)
    writer = Writer(seed=seed)
    names = ("corpus", "copies", "personal_data", "toxic")
    files = {name: (out / f"{name}.jsonl").open("w", encoding="utf-8") for name in names}

    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def put(name: str, value: object) -> None:
        files[name].write(encode(value) + "\n")

    for _ in range(rows):
        row, source, kind = writer.next_row()
        question, answer = written(row.question), written(row.answer)
        put("corpus", _line(row, question.text, answer.text, rating=writer.rating()))
        if source is not None:
            jaccard = round(true_jaccard(source, row), 4)
            put("copies", {"row": row.number, "of": source.number, "kind": kind, "jaccard": jaccard})
        turns = enumerate((question, answer), start=1)
        if spans := [[turn, *span] for turn, message in turns for span in message.spans]:
            put("personal_data", {"row": row.number, "spans": spans})
        if row.toxic:
            put("toxic", {"row": row.number})
    for file in files.values():
        file.close()


def _line(row: Row, question: str, answer: str, *, rating: int) -> dict[str, object]:
    return {
        "messages": [
            {"role": "system", "content": _SYSTEM[row.language]},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
        "metadata": {
            "row": row.number,
            "lang": row.language,
            "category": row.category,
            "source": "bench",
            "created_at": f"2026-01-{1 + row.number % 28:02}T{row.number % 24:02}:00:00Z",
            "rating": rating,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=20261121)
    arguments = parser.parse_args()
    write(arguments.out, rows=arguments.rows, seed=arguments.seed)
    size_mb = (arguments.out / "corpus.jsonl").stat().st_size / 1e6
    sys.stdout.write(f"{arguments.rows} rows, {size_mb:.1f} MB\n")


if __name__ == "__main__":
    main()
