"""The replica that knows the conversation answers, unless another is clearly less busy or it is not well."""

from collections import Counter

from router_svc.domain.balancing import Candidate, choose
from router_svc.domain.breaking import Standing

NAMES = [b"http://a", b"http://b", b"http://c"]


def replicas(*outstanding: int) -> list[Candidate]:
    return [Candidate(name, count) for name, count in zip(NAMES, outstanding, strict=False)]


def test_the_least_busy_one_answers_who_has_no_conversation() -> None:
    assert choose(replicas(3, 1, 2), None) == 1


def test_a_conversation_stays_with_its_replica_and_conversations_are_spread() -> None:
    keys = [str(number).encode() for number in range(300)]
    chosen = [choose(replicas(2, 0, 3), key) for key in keys]
    assert chosen == [choose(replicas(2, 0, 3), key) for key in keys]
    assert min(Counter(chosen).values()) > 60


def test_a_replica_that_is_clearly_busier_loses_its_conversation() -> None:
    own = choose(replicas(0, 0, 0), b"talk")
    assert own is not None
    busy = [20 if place == own else 0 for place in range(3)]
    assert choose(replicas(*busy), b"talk") != own


def test_a_replica_that_goes_moves_only_its_own_conversations() -> None:
    keys = [str(number).encode() for number in range(200)]
    before = {key: choose(replicas(0, 0, 0), key) for key in keys}
    after = {key: choose(replicas(0, 0), key) for key in keys}
    assert all(after[key] == place for key, place in before.items() if place != 2)


def test_who_is_well_is_asked_before_who_rests_and_an_open_circuit_never() -> None:
    resting = Candidate(b"r", 0, Standing.RESTING)
    broken = Candidate(b"o", 0, Standing.OPEN)
    assert choose([broken, resting, Candidate(b"g", 50)], b"talk") == 2
    assert choose([broken, resting], b"talk") == 1
    assert choose([broken], b"talk") is None
    assert choose([], None) is None


def test_who_comes_back_counts_as_busier_than_it_is() -> None:
    assert choose([Candidate(b"new", 0, share_0_1=0.1), Candidate(b"old", 5)], None) == 1
