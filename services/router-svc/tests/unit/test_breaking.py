"""A server that fails rests longer each time, is left alone when it fails again and again, and comes back slowly."""

from router_svc.domain.breaking import Breaker, BreakerRules, Standing

RULES = BreakerRules(rest_s=5, open_after=3, return_s=10)


def failed(times: int, *, at: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(times):
        breaker.failed(at)
    return breaker


def test_a_failure_makes_it_the_last_choice_for_its_rest() -> None:
    breaker = failed(1)
    assert breaker.standing(4.9) is Standing.RESTING
    assert breaker.standing(5.1) is Standing.GOOD


def test_each_further_rest_is_twice_as_long_up_to_a_limit() -> None:
    breaker, now = Breaker(RULES), 0.0
    for rest_s in (5, 10, 20, 40, 40, 40):
        breaker.failed(now)
        assert breaker.standing(now + rest_s - 0.1) is not Standing.GOOD
        now += rest_s + 0.1
        assert breaker.standing(now) is Standing.GOOD


def test_many_requests_that_one_crash_breaks_are_one_reason_to_rest() -> None:
    breaker = failed(20)
    assert breaker.standing(4.9) is Standing.OPEN
    assert breaker.standing(5.1) is Standing.GOOD


def test_an_open_circuit_lets_one_probe_through_after_its_rest() -> None:
    breaker = failed(3)
    assert breaker.standing(4.9) is Standing.OPEN
    assert breaker.standing(5.1) is Standing.GOOD, "as the last choice it would never be asked"
    breaker.asked(5.1)
    assert breaker.standing(5.2) is Standing.OPEN, "only one request finds out"
    breaker.succeeded(5.3)
    assert breaker.standing(5.4) is Standing.GOOD


def test_a_probe_of_which_nothing_is_heard_does_not_keep_it_closed_for_ever() -> None:
    breaker = failed(3)
    breaker.asked(5.1)
    assert breaker.standing(10.2) is Standing.GOOD


def test_a_server_that_is_there_again_is_probed_at_once_and_its_next_rest_is_no_shorter_for_it() -> None:
    breaker = failed(3)
    breaker.revived(1)
    assert breaker.standing(1) is Standing.GOOD
    breaker.failed(1)
    assert breaker.standing(10.9) is Standing.OPEN


def test_who_comes_back_gets_little_at_first() -> None:
    breaker = failed(1)
    assert breaker.share_0_1(0) == 1.0
    breaker.succeeded(100)
    assert [breaker.share_0_1(now) for now in (100, 105, 110)] == [0.1, 0.5, 1.0]
