"""How much a model is asked for at once: few pairs with bounded texts, so that an answer is whole before it must end."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dataset_svc.domain.texts.morphemes import needs_analysis
from loopwright.contracts.base import JsonObject, JsonValue

_LEAST_CHARS = 80
_MOST_CHARS = 1280
_SYLLABLE_BYTES = 3  # of Hangul in UTF-8
_PUNCTUATION_TOKENS = 8  # of one text in JSON: quotes, colon, comma, some escapes


@dataclass(frozen=True, kw_only=True)
class Portion:
    """What one request asks for.

    Attributes:
        pairs: At most.
        chars: Longest text in characters; questions are at most half as long.
    """

    pairs: int = 4
    chars: int = _MOST_CHARS

    @classmethod
    def of(cls, source: str) -> "Portion":
        """What to ask of a text first: what says only what the text says is not longer than it."""
        return cls(chars=min(max(len(source), _LEAST_CHARS), _MOST_CHARS))

    def at_most(self, pairs: int) -> "Portion":
        return replace(self, pairs=min(self.pairs, pairs))

    def smaller(self) -> "Portion | None":
        """Half of it: fewer pairs first, then shorter ones; None if an answer could not say anything any more."""
        if self.pairs > 1:
            return replace(self, pairs=self.pairs // 2)
        return replace(self, chars=max(self.chars // 2, _LEAST_CHARS)) if self.chars > _LEAST_CHARS else None


def most_tokens(schema: JsonObject, *, source: str) -> int:
    """Tokens that an answer of this schema has room in.

    No token of a byte-level vocabulary is shorter than a byte (Radford 2019), so the bytes of the longest texts bound
    it. Models write in the language of their source.
    """
    bytes_a_char = _SYLLABLE_BYTES if needs_analysis(source) else 1
    return _PUNCTUATION_TOKENS + sum(_PUNCTUATION_TOKENS + chars * bytes_a_char for chars in _texts(schema))


def _texts(schema: JsonValue, times: int = 1) -> Iterator[int]:
    """Lengths of all texts of the longest answer, names of properties among them."""
    match schema:
        case {"type": "string", "maxLength": int(chars)}:
            yield from [chars] * times
        case {"type": "array", "items": items, "maxItems": int(most)}:
            yield from _texts(items, times * most)
        case {"type": "object", "properties": dict(properties)}:
            for name, of in properties.items():
                yield from [len(name)] * times
                yield from _texts(of, times)
        case _:
            return
