"""Puts placeholders or pseudonyms where personal data stood, in every text of a sample."""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import msgspec

from dataset_svc.domain.personal.personal_data import Finder, shared_finder
from dataset_svc.domain.samples import Sample, Scalar, Turn
from loopwright.contracts.tasks import MaskingMode
from loopwright.personal.kinds import PLACEHOLDERS, PersonalKind
from loopwright.personal.masking import Kinds, changed_texts, mask_texts, placeholder

_MOST_REMEMBERED = 20_000
_LEAST_LONG_NUMBER = 10**8  # nine digits, the shortest number that means a person
_NONE: Kinds = {}


class Masked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A sample as its mode leaves it, and how much of each kind was found.

    Attributes:
        dropped: Whether the mode is to drop it; the sample is then masked all the same.
    """

    sample: Sample
    found: Kinds
    dropped: bool = False


def mask_text(text: str) -> tuple[str, Kinds]:
    """One text, as `mask_texts` does it."""
    return mask_texts([text], shared_finder())[0]


class Masker:
    """Treats the samples of one dataset alike.

    Equal texts (system prompts, templates, questions) are masked once: a text's outcome depends on nothing else.

    Args:
        mode: What becomes of samples that hold personal data.
        pseudonym_key: Secret of the dataset; equal values get equal pseudonyms under one key, and no relation under two.
            Without a key all values of a kind get the same placeholder.
    """

    def __init__(self, mode: MaskingMode, *, pseudonym_key: bytes | None = None) -> None:
        self._mode = mode
        self._key = pseudonym_key
        self._naming = placeholder if pseudonym_key is None else self._pseudonym
        self._finder = Finder()
        self._clean: set[str] = set()  # texts that hold nothing personal
        self._changed: dict[str, tuple[str, Kinds]] = {}  # those that do

    def mask_samples(self, samples: Sequence[Sample]) -> list[Masked]:
        """One outcome for each sample, in order, equal to what it would be alone."""
        if len(self._clean) + len(self._changed) >= _MOST_REMEMBERED:
            self._clean.clear()
            self._changed.clear()
        unknown, again, holding = self._unknown(samples)
        self._learn(unknown)
        changed = self._changed
        holding.update(owner for text, owner in unknown.items() if text in changed)
        holding.update(owner for text, owner in again if text in changed)
        outcomes = [Masked(sample=sample, found=_NONE) for sample in samples]
        for owner in holding:
            outcomes[owner] = self._outcome(samples[owner])
        return outcomes

    def _unknown(self, samples: Sequence[Sample]) -> tuple[dict[str, int], list[tuple[str, int]], set[int]]:
        """The texts outside JSON that are not known to hold nothing, the same again elsewhere, and who holds JSON.

        One loop over all that a sample has, since its objects are cold. Each text goes with the place of its sample.
        """
        clean = self._clean
        unknown: dict[str, int] = {}
        again: list[tuple[str, int]] = []
        with_json: set[int] = set()
        for owner, sample in enumerate(samples):
            for turn in sample.messages:
                content = turn.content
                if content not in clean and unknown.setdefault(content, owner) != owner:
                    again.append((content, owner))
                if turn.tool_calls is not None:
                    with_json.add(owner)
            if sample.tools is not None:
                with_json.add(owner)
            for text in _texts_beside(sample):
                if text not in clean and isinstance(text, str) and unknown.setdefault(text, owner) != owner:
                    again.append((text, owner))  # noqa: PERF401 - a generator for each sample costs more
        return unknown, again, with_json

    def _outcome(self, sample: Sample) -> Masked:
        masked = self._masked(sample)
        if self._mode is MaskingMode.REPORT:
            return Masked(sample=sample, found=masked.found)
        if self._mode is MaskingMode.DROP and masked.found:
            return Masked(sample=masked.sample, found=masked.found, dropped=True)
        return masked

    def _learn(self, texts: Iterable[str]) -> None:
        """Searches texts, each of which comes once, and is not known to hold nothing."""
        new = [text for text in texts if text not in self._changed]
        changed = {new[place]: outcome for place, outcome in changed_texts(new, self._finder, self._naming).items()}
        self._clean.update(new)
        self._clean.difference_update(changed)
        self._changed.update(changed)

    def _outcome_of(self, text: str) -> tuple[str, Kinds] | None:
        """What a text becomes, if it holds something."""
        if text in self._clean:
            return None
        if text not in self._changed:
            self._learn((text,))
        return self._changed.get(text)

    def _masked(self, sample: Sample) -> Masked:
        """Masks every text of a sample; what stands in a turn and in the input is counted once."""
        found: dict[PersonalKind, int] = {}

        def plain(text: str) -> str:
            outcome = self._outcome_of(text)
            if outcome is None:
                return text
            for kind, count in outcome[1].items():
                found[kind] = found.get(kind, 0) + count
            return outcome[0]

        changed = self._changed
        turns = tuple(
            [
                turn if turn.tool_calls is None and turn.content not in changed else _masked_turn(turn, plain)
                for turn in sample.messages
            ]
        )
        rejected = None if sample.rejected is None else plain(sample.rejected)
        tools = None if sample.tools is None else mask_json(sample.tools, plain)
        metadata = sample.metadata
        if metadata and not changed.keys().isdisjoint(metadata.values()):
            metadata = {name: plain(value) if isinstance(value, str) else value for name, value in metadata.items()}
        asked, in_input = changed.get(sample.input, (sample.input, _NONE))
        for kind, count in in_input.items():
            found[kind] = max(found.get(kind, 0), count)
        if not found:
            return Masked(sample=sample, found=_NONE)
        masked = msgspec.structs.replace(
            sample, input=asked, messages=turns, rejected=rejected, tools=tools, metadata=metadata
        )
        return Masked(sample=masked, found=found)

    def _pseudonym(self, kind: PersonalKind, value: str) -> str:
        """32 bits of HMAC-SHA256 (RFC 2104) over kind and value; case, spaces and signs inside the value do not count."""
        assert self._key is not None
        same = "".join(char for char in value.casefold() if char.isalnum())
        digest = hmac.digest(self._key, f"{kind}\0{same or value}".encode(errors="surrogatepass"), hashlib.sha256)
        return f"[{PLACEHOLDERS[kind]}-{digest[:4].hex()}]"


def _texts_beside(sample: Sample) -> Iterable[Scalar]:
    """What a sample says beside its turns, and what is no text in its metadata."""
    beside = sample.metadata.values() if sample.metadata else ()
    turns, rejected = sample.messages, sample.rejected
    if rejected is None and len(turns) > 1 and sample.input is turns[-2].content:  # most samples
        return beside
    return (sample.input, *beside) if rejected is None else (sample.input, rejected, *beside)


def _masked_turn(turn: Turn, plain: Callable[[str], str]) -> Turn:
    content = plain(turn.content)
    if turn.tool_calls is not None:
        return Turn(turn.role, content, mask_json(turn.tool_calls, plain))
    return turn if content is turn.content else Turn(turn.role, content)


def mask_json(text: str, plain: Callable[[str], str]) -> str:
    """JSON whose strings and long numbers went through `plain`, and is JSON still; other text is masked as it stands."""
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return plain(text)
    masked = _masked_value(value, plain)
    return text if masked == value else msgspec.json.encode(masked).decode()


def _masked_value(value: object, plain: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return [_masked_value(one, plain) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        return {name: _masked_value(one, plain) for name, one in cast("dict[str, object]", value).items()}
    if isinstance(value, int) and abs(value) >= _LEAST_LONG_NUMBER:
        masked = plain(str(value))
        return value if masked == str(value) else masked
    return value
