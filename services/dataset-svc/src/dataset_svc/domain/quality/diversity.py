"""Whether an answer repeats itself: different words, repeated phrases and lines, and how far it compresses.

Limits follow MassiveText's repetition rules (Rae et al. 2021, Gopher, table A1) where those speak of the same thing. The
share of different words falls with length by itself, so Herdan's C (log of types over log of tokens, 1960) is used.
"""

from typing import Final

import numpy as np

from dataset_svc.domain.quality.kinds import Kinds, share
from dataset_svc.domain.quality.measuring import Floats, Side
from dataset_svc.domain.quality.profiles import LONGEST_RUN, LZ_UNITS
from dataset_svc.domain.quality.verdicts import Verdict
from dataset_svc.domain.quality.words import (
    DISTINCT,
    LINE_CHARS,
    REPEATED_3,
    REPEATED_5,
    REPEATED_LINE_CHARS,
    WORD_CHARS,
    WORDS,
)

_FEWEST_WORDS: Final = 12
_LOW_HERDAN: Final = 0.78
# Gopher allows 0.15 in documents; answers are shorter and quote their question
_MOST_REPEATED_5: Final = 0.25
_MOST_REPEATED_3: Final = 0.45
_MOST_REPEATED_LINES: Final = 0.20  # Gopher: share of characters in duplicate lines
_LOW_COMPRESSED: Final = 0.45


def score_diversity(answer: Side, kinds: Kinds) -> Verdict:
    """Scores diversity of prose; labels and structured answers are free to repeat, code has wider limits."""
    verdict = Verdict.of(len(answer.length))
    prose, words = kinds.prose, answer.words
    enough = prose & (words[:, WORDS] >= _FEWEST_WORDS)
    herdan = share(np.log(np.maximum(words[:, DISTINCT], 1)), np.log(np.maximum(words[:, WORDS], 2)))
    verdict.take("diversity.few-words", enough & (herdan < _LOW_HERDAN), points=_step(_LOW_HERDAN - herdan, over=0.35))
    repeated = np.maximum(
        share(words[:, REPEATED_5], words[:, WORD_CHARS]) / _MOST_REPEATED_5,
        share(words[:, REPEATED_3], words[:, WORD_CHARS]) / _MOST_REPEATED_3,
    )
    verdict.take("diversity.repeated-phrases", enough & (repeated > 1), points=_step(repeated - 1, over=4.0))
    lines = share(words[:, REPEATED_LINE_CHARS], words[:, LINE_CHARS])
    verdict.take(
        "diversity.repeated-lines",
        ~kinds.structured & (lines > _MOST_REPEATED_LINES + 0.3 * kinds.code),
        points=_step(lines, over=1),
    )
    compressed = share(answer.profile[:, LZ_UNITS], answer.length)
    low = _LOW_COMPRESSED - 0.25 * kinds.code
    squashed = (answer.length >= 120) & ~kinds.structured & ~kinds.label & (compressed < low)
    verdict.take("diversity.compressible", squashed, points=_step(low - compressed, over=0.4))
    run = answer.profile[:, LONGEST_RUN]
    # rules and tables draw lines of one sign; what counts is a run that makes up much of the answer
    drawn = ~kinds.structured & ~kinds.code & (run >= 6) & (run > 0.2 * answer.length)
    verdict.take("diversity.repeated-character", drawn, points=_step(share(run, answer.length), over=0.8))
    return verdict


def _step(excess: Floats, *, over: float) -> Floats:
    """Points for an excess: at least 0.2, and 0.7 where it reaches `over`."""
    return 0.2 + 0.5 * np.clip(excess / over, 0, 1)
