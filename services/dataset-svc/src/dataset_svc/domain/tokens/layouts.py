"""Which tokenizers cut text in a way that `pieces.py` knows, told from their `tokenizer.json`."""

import unicodedata
from typing import NamedTuple

import msgspec

from dataset_svc.domain.tokens.automata import Family, Pattern

_GPT4_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {_GPT4_PATTERN % "{1,3}": 3, _GPT4_PATTERN % "": 1}  # Llama 3 and GPT-4; Qwen


class Layout(NamedTuple):
    """What has to be known of a tokenizer.

    Attributes:
        composed: Whether it brings text into normal form C first.
        marks: Tokens that are found in a text before it is cut.
    """

    pattern: Pattern
    composed: bool
    marks: tuple[str, ...]


class _ByteLevel(msgspec.Struct, tag_field="type", tag="ByteLevel"):
    add_prefix_space: bool
    use_regex: bool


class _Digits(msgspec.Struct, tag_field="type", tag="Digits"):
    individual_digits: bool


class _Regex(msgspec.Struct, rename={"regex": "Regex"}):
    regex: str


class _Split(msgspec.Struct, tag_field="type", tag="Split"):
    pattern: _Regex
    behavior: str
    invert: bool


class _Sequence(msgspec.Struct, tag_field="type", tag="Sequence"):
    pretokenizers: list[_ByteLevel | _Digits | _Split]


class _Composed(msgspec.Struct, tag_field="type", tag="NFC"):
    pass


class _Model(msgspec.Struct, tag_field="type", tag="BPE"):
    dropout: float | None = None
    byte_fallback: bool = False


class _Added(msgspec.Struct):
    content: str


class _File(msgspec.Struct):
    pre_tokenizer: _ByteLevel | _Sequence
    normalizer: _Composed | None
    model: _Model
    added_tokens: list[_Added]


def layout_of(tokenizer_json: str) -> Layout | None:
    """None if it is not certain that the tokenizer cuts in one of the known ways, and merges within pieces only."""
    try:
        file = msgspec.json.decode(tokenizer_json, type=_File)
    except msgspec.ValidationError:
        return None
    pattern = _pattern_of(file.pre_tokenizer)
    marks = tuple(added.content for added in file.added_tokens)
    # a mark in another form would be looked for in normal form
    plain = all(mark and unicodedata.is_normalized("NFC", mark) for mark in marks)
    if pattern is None or file.model.dropout or file.model.byte_fallback or not plain:
        return None
    return Layout(pattern=pattern, composed=file.normalizer is not None, marks=marks)


def _pattern_of(pre_tokenizer: _ByteLevel | _Sequence) -> Pattern | None:
    match pre_tokenizer:
        case _ByteLevel(add_prefix_space=False, use_regex=True):
            return Pattern(family=Family.GPT2)
        case _Sequence(
            pretokenizers=[_Digits(individual_digits=True), _ByteLevel(add_prefix_space=False, use_regex=True)]
        ):
            return Pattern(family=Family.GPT2_DIGITS)
        case _Sequence(
            pretokenizers=[
                _Split(pattern=pattern, behavior="Isolated", invert=False),
                _ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ) if pattern.regex in _SPLITS:
            return Pattern(family=Family.GPT4, digits=_SPLITS[pattern.regex])
        case _:
            return None
