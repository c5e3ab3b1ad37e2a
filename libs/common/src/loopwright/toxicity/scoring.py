"""How toxic texts are, from the terms that are found in them.

Toxicity is 1 minus the product over found terms of what each leaves: one insult is half way, a threat nearly all the way.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loopwright.toxicity.disguises import squeezed
from loopwright.toxicity.lexicon import TERMS, Term
from loopwright.toxicity.streams import stream_of
from loopwright.toxicity.terms import Found, Trie, find_terms, trie_of

# how much of the way to 1 one term goes
SEVERITY: Final = {
    Term.PROFANITY: 0.5,
    Term.INSULT: 0.5,
    Term.SEXUAL: 0.6,
    Term.SLUR: 0.8,
    Term.THREAT: 0.85,
    Term.SELF_HARM: 0.9,
}


def toxicity_of_texts(texts: Sequence[str]) -> list[float]:
    """Toxicity of each text, 0 to 1; time and memory are linear in their characters."""
    return toxicity_of_terms(find_terms(squeezed(stream_of(texts)), harm_trie()), len(texts)).tolist()


def toxicity_of_terms(found: Found, texts: int) -> NDArray[np.float64]:
    """Toxicity by the terms that were found in so many texts [texts]."""
    left = np.zeros(len(Term), dtype=np.float64)
    for term, severity in SEVERITY.items():
        left[term] = np.log(1 - severity)
    return 1 - np.exp(np.bincount(found.text, weights=left[found.kind], minlength=texts))


@cache
def harm_trie() -> Trie:
    return trie_of({int(kind): terms for kind, terms in TERMS.items()})
