"""So many requests are answered at once, so many wait for a while, and all others are told at once to come back."""

import time
from dataclasses import dataclass, field
from typing import cast

import pytest

from loopwright.errors import PlatformError, ServingUnavailable
from router_svc.handlers.answering import Gate
from router_svc.handlers.exchange import Exchange

WAIT_S = 2.0


@dataclass(eq=False)
class ExchangeInMemory:
    """Notes what it is told."""

    told: list[str] = field(default_factory=list)
    over: bool = False

    def ask(self) -> None:
        self.told.append("ask")

    def stop(self, error: PlatformError) -> None:
        self.told.append(error.code)
        self.over = True


def a_gate(*, in_flight: int = 1, waiting: int = 2) -> Gate:
    return Gate(in_flight=in_flight, waiting=waiting, wait_s=WAIT_S)


def enter(gate: Gate, count: int) -> list[ExchangeInMemory]:
    entered = [ExchangeInMemory() for _ in range(count)]
    for exchange in entered:
        gate.require_room()
        gate.enter(cast("Exchange", exchange))
    return entered


def leave(gate: Gate, exchange: ExchangeInMemory) -> None:
    exchange.over = True
    gate.leave(cast("Exchange", exchange))


def told(exchanges: list[ExchangeInMemory]) -> list[list[str]]:
    return [exchange.told for exchange in exchanges]


def test_who_has_room_asks_at_once_and_the_next_wait() -> None:
    assert told(enter(a_gate(in_flight=2), 3)) == [["ask"], ["ask"], []]


def test_who_could_not_even_wait_is_refused() -> None:
    gate = a_gate(waiting=1)
    enter(gate, 2)
    with pytest.raises(ServingUnavailable) as refused:
        gate.require_room()
    assert refused.value.code == "router.overloaded"


def test_without_a_queue_the_first_too_many_is_refused() -> None:
    gate = a_gate(waiting=0)
    enter(gate, 1)
    with pytest.raises(ServingUnavailable):
        gate.require_room()


def test_who_leaves_lets_the_longest_waiting_in() -> None:
    gate = a_gate()
    first, second, third = enter(gate, 3)
    leave(gate, first)
    assert told([second, third]) == [["ask"], []]
    leave(gate, second)
    assert third.told == ["ask"]
    leave(gate, third)
    assert told(enter(gate, 1)) == [["ask"]]


def test_who_gave_up_waiting_is_passed_over() -> None:
    gate = a_gate()
    first, second, third = enter(gate, 3)
    second.over = True  # its client left; it is put on record in a moment
    leave(gate, first)
    assert told([second, third]) == [[], ["ask"]]
    leave(gate, second)
    assert len(third.told) == 1


def test_who_left_the_queue_makes_room_in_it() -> None:
    gate = a_gate(waiting=1)
    _, second = enter(gate, 2)
    leave(gate, second)
    gate.require_room()


def test_waiting_ends_after_a_while_with_a_refusal_but_answering_does_not() -> None:
    gate = a_gate()
    first, second = enter(gate, 2)
    gate.sweep(time.monotonic() + WAIT_S / 2)
    assert second.told == []
    gate.sweep(time.monotonic() + WAIT_S)
    assert told([first, second]) == [["ask"], ["router.overloaded"]]
    leave(gate, first)
    assert second.told == ["router.overloaded"]


def test_the_end_of_the_router_is_everybodys() -> None:
    gate = a_gate()
    exchanges = enter(gate, 2)
    gate.close()
    assert [exchange.told[-1] for exchange in exchanges] == ["router.stopping"] * 2
