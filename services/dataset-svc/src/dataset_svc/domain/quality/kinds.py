"""What an answer is: a label, JSON, code or prose. Each is held to its own rules, for labels are short and logs repeat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataset_svc.domain.quality.measuring import Flags, Floats, Side
from dataset_svc.domain.quality.profiles import FENCES, FIRST
from dataset_svc.domain.quality.words import WORDS
from loopwright.toxicity.characters import (
    CODE,
    DIGIT,
    FOREIGN,
    HAN,
    HANGUL,
    LOWER,
    NEWLINE,
    PUNCTUATION,
    SPACE,
    STOP,
    UPPER,
)

_MOST_LABEL_WORDS: Final = 4
_MOST_LABEL_CHARS: Final = 60


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """Exactly one of label, structured, code and prose holds for each answer [samples].

    Attributes:
        log: Whether the question is machine text.
        machine: Whether the answer is.
    """

    label: Flags
    structured: Flags
    code: Flags
    prose: Flags
    log: Flags
    machine: Flags


def share(part: np.ndarray, whole: np.ndarray) -> Floats:
    """Part over whole; 0 where there is no whole."""
    return part / np.where(whole > 0, whole, np.inf)


def letters_of(side: Side) -> np.ndarray:
    """Letters of each text, of all scripts."""
    return side.profile[:, HANGUL:DIGIT].sum(axis=1) + side.profile[:, DIGIT + 1 : STOP].sum(axis=1)


def code_share(side: Side) -> Floats:
    """Signs of code and digits among what is no space."""
    visible = side.length - side.profile[:, SPACE] - side.profile[:, NEWLINE]
    return share(side.profile[:, CODE] + side.profile[:, DIGIT], visible)


def is_machine_text(side: Side) -> Flags:
    """Log lines and program code: dense signs and digits, or capitals and stops inside words as in paths and names."""
    foreign = side.profile[:, HANGUL] + side.profile[:, HAN] + side.profile[:, FOREIGN]
    small = side.profile[:, LOWER] + side.profile[:, UPPER] + 2 * foreign
    marks = side.profile[:, CODE] + side.profile[:, DIGIT] + side.profile[:, STOP] + side.profile[:, PUNCTUATION]
    return (code_share(side) > 0.12) | (share(marks, np.maximum(small, 1)) > 0.25)


def kinds_of(question: Side, answer: Side, answers: Sequence[str]) -> Kinds:
    structured = (answer.profile[:, FIRST] < HANGUL) | (answer.profile[:, FIRST] > FOREIGN)
    for place in np.flatnonzero(structured).tolist():  # those that begin with a letter or a digit are not
        structured[place] = answers[place].lstrip()[:1] in {"{", "["}
    label = (answer.words[:, WORDS] <= _MOST_LABEL_WORDS) & (answer.length <= _MOST_LABEL_CHARS) & ~structured
    machine = is_machine_text(answer)
    code = ((answer.profile[:, FENCES] > 0) | machine) & ~label & ~structured
    return Kinds(
        label=label,
        structured=structured,
        code=code,
        prose=~(label | structured | code),
        log=is_machine_text(question),
        machine=machine,
    )
