"""How toxic texts are, from the terms that are found in them.

Toxicity is 1 minus the product over found terms of what each leaves: one insult is half way, a threat nearly all the way.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loopwright.toxicity.disguises import undisguised
from loopwright.toxicity.lexicon import TERMS, Term
from loopwright.toxicity.streams import Stream, stream_of
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
    stream = stream_of(texts)
    [found] = find_terms(stream, harm_trie())
    return toxicity_of_terms(with_disguised(found, stream), len(texts)).tolist()


def with_disguised(found: Found, stream: Stream) -> Found:
    """The harmful terms of texts without disguises, where those of the texts as they stand are known."""
    plain = undisguised(stream)
    if not len(plain.texts):
        return found
    [terms] = find_terms(plain.stream, harm_trie())
    hiding = np.zeros(len(stream.starts) - 1, dtype=np.bool_)
    hiding[plain.texts] = True
    stays = ~hiding[found.text]
    texts = np.concatenate([found.text[stays], plain.texts[terms.text].astype(np.int32)])
    order = np.argsort(texts, kind="stable")
    return Found(
        text=texts[order],
        place=np.concatenate([found.place[stays], terms.place])[order],
        kind=np.concatenate([found.kind[stays], terms.kind])[order],
    )


def toxicity_of_terms(found: Found, texts: int) -> NDArray[np.float64]:
    """Toxicity by the terms that were found in so many texts [texts]."""
    left = np.zeros(len(Term), dtype=np.float64)
    for term, severity in SEVERITY.items():
        left[term] = np.log(1 - severity)
    return 1 - np.exp(np.bincount(found.text, weights=left[found.kind], minlength=texts))


@cache
def harm_trie() -> Trie:
    return trie_of(harm_lexicon())


def harm_lexicon() -> dict[int, tuple[str, ...]]:
    return {int(kind): terms for kind, terms in TERMS.items()}
