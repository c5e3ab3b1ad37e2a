"""Exact token counts with a task's own tokenizer: what Hugging Face `tokenizers` would count, many times as fast.

Where it is certain how the tokenizer cuts text into pieces, texts are cut here and each different piece is counted once
(`domain/tokens`). Those pieces, and all other texts, go to tokie where it is known to agree. It is wrong in three places
(seen in 0.1.4): text with a byte that the vocabulary lacks, a tab before a contraction such as 't, and a vertical tab or
form feed behind other white space; such texts, and tokenizers that fail the check at loading, go to `tokenizers`.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path

import numpy as np
import structlog
import tokie
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, normalizers

from dataset_svc.domain.tokens.automata import Family, steps_of
from dataset_svc.domain.tokens.layouts import layout_of
from dataset_svc.domain.tokens.piece_counts import PieceCounter
from dataset_svc.domain.tokens.pieces import Rules
from dataset_svc.domain.tokens.signs import kinds_of_signs, leave_composed
from loopwright.errors import Invalid, NotFound

_log = structlog.get_logger()

_TEXTS_AT_ONCE = 2_000  # encodings of `tokenizers` are large: about 1 kB a token
_TAB_BEFORE_QUOTE = b"\t'"
_MISREAD = b"\v\f"
_ODD_SIGNS = " \t\n\v\f\r'lst1.가é\u00a0\u0301\u200d\u1112\u3000😀"
_SAMPLES = (
    "안녕하세요, 홍길동입니다. 주문번호 2024-0117 배송이 언제 오나요? ㅋㅋㅋㅠㅠ",
    "It's what they'd've said; WE'LL see — don't “quote” me…",
    "def f(x: int) -> int:\n\tif x > 0:\n\t\treturn x * 2  # 두 배\n\n\n    return -1\r\n",
    "2005-06-03-15.42.50.675872 R02-M1-N0-C:J12-U11 RAS KERNEL INFO instruction cache parity error corrected",
    '{"status":"alert","score":0.93,"path":"C:\\\\temp\\\\x"}',
    "👩‍👩‍👧‍👦 🇰🇷 👍🏽 ☎️ 𝔘𝔫𝔦 ﷺ ½ Ⅷ ١٢٣ नमस्ते ไทย 漢字かな",
    "\u1112\u1161\u11ab\u1100\u1173\u11af e\u0301 \ufeff\u200b\u2028\x85\x00\x7f",
    "<|im_start|>user\nhi<|im_end|>\n<|endoftext|><s></s>[INST] <unk> [CLS][MASK]",
    "a" * 2_000,
    "ㅋ" * 500 + " " * 300 + "\n" * 100,
    "",
)


class CountingEngine(StrEnum):
    """What counts."""

    PIECES = "pieces"
    TOKIE = "tokie"
    TOKENIZERS = "tokenizers"


class TokenCounter:
    """Counts the tokens of texts as the tokenizer of one model cuts them.

    What a chat template adds around turns, and tokens that a model adds at beginning and end, are not counted; special
    tokens that stand in a text are, as one token each, for so the model would read them.

    Attributes:
        engine: What counts all texts but those that it may get wrong.
    """

    def __init__(self, reference: Tokenizer, fast: "tokie.Tokenizer | None" = None) -> None:
        reference.no_padding()
        reference.no_truncation()
        self._reference = reference
        self._fast = fast
        self._suspect = _missing_bytes(reference) + _MISREAD
        self._pieces: PieceCounter | None = None
        self._busy = threading.Lock()
        self._choose()

    def _choose(self) -> None:
        """Takes every engine that agrees with the reference on text of many kinds."""
        texts = self._trials()
        expected = self._reference_counts(texts)
        if self._fast is not None and not np.array_equal(self.count(texts), expected):
            _log.warning("token_counts.engines_disagree", engine=CountingEngine.TOKIE)
            self._fast = None
        self.engine = CountingEngine.TOKENIZERS if self._fast is None else CountingEngine.TOKIE
        self._pieces = _piece_counter(self._reference, self._whole_counts)
        if self._pieces is None:
            return
        # the second time from the table
        if all(np.array_equal(self.count(texts), expected) for _ in range(2)):
            self.engine = CountingEngine.PIECES
        else:
            _log.warning("token_counts.engines_disagree", engine=CountingEngine.PIECES)
            self._pieces = None

    @classmethod
    def load(cls, folder: Path) -> "TokenCounter":
        """Reads `tokenizer.json` of a local model folder; takes about half a second.

        Raises:
            NotFound: there is no such file.
            Invalid: it is no tokenizer.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise NotFound("dataset.tokenizer-not-found", "The model folder holds no tokenizer.json.")
        try:
            reference = Tokenizer.from_file(str(path))
        except Exception as error:  # `tokenizers` raises nothing narrower
            raise Invalid("dataset.tokenizer-unreadable", "The file tokenizer.json is not a tokenizer.") from error
        return cls(reference, _load_fast(path))

    def count(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Tokens of each text, in order. Threads of its own work without the interpreter lock; safe after a fork.

        A lone surrogate counts as the replacement character U+FFFD, since neither library can read it.
        """
        return self.count_utf_8(_readable(texts))

    def count_utf_8(self, texts: Sequence[bytes]) -> NDArray[np.int32]:
        """The same of texts in UTF-8."""
        # not waited for: in a process forked while another thread counted, nobody would ever let go of it
        if self._pieces is None or not self._busy.acquire(blocking=False):
            return self._whole_counts([text.decode() for text in texts])
        try:
            counts, odd = self._pieces.count(texts)
        finally:
            self._busy.release()
        places = np.flatnonzero(odd).tolist()
        if places:
            counts[places] = self._whole_counts([texts[place].decode() for place in places])
        return counts

    def _whole_counts(self, texts: list[str]) -> NDArray[np.int32]:
        """Counts by the libraries, which cut texts themselves."""
        if self._fast is None:
            return self._reference_counts(texts)
        odd = self._odd_places(texts)
        if not odd:
            return self._fast_counts(texts)
        strange = frozenset(odd)
        counts = np.zeros(len(texts), dtype=np.int32)
        even = [place for place in range(len(texts)) if place not in strange]
        counts[even] = self._fast_counts([texts[place] for place in even])
        counts[odd] = self._reference_counts([texts[place] for place in odd])
        return counts

    def _fast_counts(self, texts: list[str]) -> NDArray[np.int32]:
        assert self._fast is not None
        try:
            return np.asarray(self._fast.count_tokens_batch(texts), dtype=np.int32)
        except BaseException as error:
            if not _is_failure_of_tokie(error):
                raise
            _log.warning("token_counts.tokie_failed", exc_info=error)
            return self._reference_counts(texts)

    def _reference_counts(self, texts: Sequence[str]) -> NDArray[np.int32]:
        counts = np.zeros(len(texts), dtype=np.int32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = list(texts[start : start + _TEXTS_AT_ONCE])
            encoded = self._reference.encode_batch_fast(part, add_special_tokens=False)
            counts[start : start + len(part)] = [len(encoding) for encoding in encoded]
        return counts

    def _odd_places(self, texts: list[str]) -> list[int]:
        """Texts that tokie may get wrong; usually none, which one look at all of them together shows."""
        if not self._is_odd("\n".join(texts)):
            return []
        return [place for place, text in enumerate(texts) if self._is_odd(text)]

    def _is_odd(self, text: str) -> bool:
        content = text.encode()
        return _TAB_BEFORE_QUOTE in content or len(content.translate(None, self._suspect)) != len(content)

    def _trials(self) -> list[str]:
        """Text of many kinds, and every short row of odd signs."""
        rows = ("".join(signs) for length in (1, 2, 3) for signs in itertools.product(_ODD_SIGNS, repeat=length))
        special = [token.content for token in self._reference.get_added_tokens_decoder().values()]
        return [*_SAMPLES, *special, *(f"a {token} 가{token}" for token in special), *rows]


def _piece_counter(reference: Tokenizer, count_pieces: Callable[[list[str]], NDArray[np.int32]]) -> PieceCounter | None:
    layout = layout_of(reference.to_str())
    if layout is None:
        return None
    kinds = _kinds(caseless=layout.pattern.family is Family.GPT4, composed=layout.composed)
    return PieceCounter(Rules(kinds=kinds, steps=steps_of(layout.pattern)), layout.marks, count_pieces)


@cache
def _kinds(*, caseless: bool, composed: bool) -> NDArray[np.uint8]:
    kinds = kinds_of_signs(_erased, caseless=caseless)
    if composed:
        leave_composed(kinds, normalizers.NFC().normalize_str)
    return kinds


def _erased(pattern: str, text: str) -> str:
    return normalizers.Replace(Regex(pattern), "").normalize_str(text)


def _load_fast(path: Path) -> tokie.Tokenizer | None:
    try:
        fast = tokie.Tokenizer.from_json(str(path))
        fast.no_padding()
        fast.no_truncation()
    except BaseException as error:
        if not _is_failure_of_tokie(error):
            raise
        _log.warning("token_counts.tokie_cannot_load", exc_info=error)
        return None
    return fast


def _is_failure_of_tokie(error: BaseException) -> bool:
    """A panic in Rust arrives as a BaseException of its own, which must not end the process."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _missing_bytes(tokenizer: Tokenizer) -> bytes:
    """Bytes that a byte-level vocabulary has no entry for; none if it is not byte-level.

    Bytes are written as in GPT-2: printable Latin-1 as itself, the others in order from U+0100 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    signs = {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}
    known = tokenizer.get_vocab()
    missing = bytes(byte for byte, sign in sorted(signs.items()) if sign not in known)
    return missing if signs[0x20] in known and len(missing) < 64 else b""


def _readable(texts: Sequence[str]) -> list[bytes]:
    """Texts in UTF-8."""
    try:
        return [text.encode() for text in texts]
    except UnicodeEncodeError:
        return [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode() for text in texts]
