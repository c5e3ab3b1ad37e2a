"""Which replica answers: the one that has the conversation's prefix in its cache, unless it is clearly busier.

Rendezvous hashing (Thaler and Ravishankar 1998): a replica that comes or goes moves only its own conversations.
"""

from collections.abc import Sequence
from hashlib import blake2b

from router_svc.domain.breaking import Standing

_SLACK = (
    4  # requests that the conversation's own replica may have more than the least busy one: a prefix hit is worth it
)
_SLACK_TIMES = 1.5


class Candidate:
    """A replica as choosing sees it.

    Attributes:
        outstanding: Requests that it is answering.
        share_0_1: Part of its usual load that it should get.
    """

    __slots__ = ("name", "outstanding", "share_0_1", "standing")

    def __init__(
        self, name: bytes, outstanding: int, standing: Standing = Standing.GOOD, share_0_1: float = 1.0
    ) -> None:
        self.name = name
        self.outstanding = outstanding
        self.standing = standing
        self.share_0_1 = share_0_1


def choose(candidates: Sequence[Candidate], conversation: bytes | None) -> int | None:
    """Index of the replica to ask; None if each has an open circuit.

    Args:
        conversation: What its first messages have in common with its later ones; None for no preference.
    """
    best = min(candidates, key=_order, default=None)
    if best is None or best.standing is Standing.OPEN:
        return None
    least = candidates.index(best)
    if conversation is None or len(candidates) == 1:
        return least
    peers = [place for place, one in enumerate(candidates) if one.standing is best.standing]
    own = max(peers, key=lambda place: _weight(conversation, candidates[place].name))
    allowed = max(_load(best) * _SLACK_TIMES, _load(best) + _SLACK)
    return own if _load(candidates[own]) <= allowed else least


def _order(candidate: Candidate) -> tuple[Standing, float]:
    return candidate.standing, _load(candidate)


def _load(candidate: Candidate) -> float:
    return (candidate.outstanding + 1) / candidate.share_0_1


def _weight(conversation: bytes, name: bytes) -> bytes:
    return blake2b(name, digest_size=8, key=conversation[:64]).digest()
