"""How much a word looks like a transliterated name rather than a word, Korean or borrowed, from our own lists of both."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache

from dataset_svc.domain.personal.common_words import WORDS
from dataset_svc.domain.personal.foreign_names import ASIAN_NAMES, FOREIGN_NAMES
from dataset_svc.domain.personal.known_persons import KNOWN_FOREIGNERS
from dataset_svc.domain.personal.loanwords import LOANWORDS, NATIVE_WORDS
from dataset_svc.domain.personal.name_cues import TECHNICAL, TITLES
from dataset_svc.domain.personal.proper_loanwords import PLACES, THINGS
from dataset_svc.domain.personal.short_words import SHORT_WORDS
from dataset_svc.domain.personal.world_names import WORLD_NAMES

_NAMES = FOREIGN_NAMES | ASIAN_NAMES | WORLD_NAMES | KNOWN_FOREIGNERS
_WORDS = WORDS | NATIVE_WORDS | LOANWORDS | PLACES | THINGS | TECHNICAL | TITLES | SHORT_WORDS
_UNSEEN = 0.5  # what a part counts that a list lacks, in names


def foreign_odds(word: str) -> float:
    """Logarithm of the odds, above 0 where a name is likelier: the mean of syllables at their places and of pairs."""
    weights = _weights()
    return sum(weights.get(part, 0.0) for part in _parts(word)) / 2


@cache
def _weights() -> dict[str, float]:
    """Of parts; what no list has weighs nothing."""
    names, words = _counted(_NAMES), _counted(_WORDS)
    ratio = words.total() / names.total()
    return {
        part: math.log((names[part] + _UNSEEN) * ratio / (words[part] + _UNSEEN * ratio)) for part in {*names, *words}
    }


def _counted(words: Iterable[str]) -> Counter[str]:
    return Counter(part for word in words if len(word) > 1 for part in _parts(word))


def _parts(word: str) -> Iterator[str]:
    """The first syllable, the last one, each between, and pairs of neighbours, the ends of the word among them."""
    yield "^" + word[0]
    yield word[-1] + "$"
    yield from word[1:-1]
    marked = f"<{word}>"
    for place in range(len(marked) - 1):
        yield marked[place : place + 2]
