"""Nothing fails and nothing is lost while Kafka is away, model servers die and workers are restarted: `bench/soak.py`, short."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from platform_side import Completed
from soak import Outcome, Plan, soaking
from steady_users import Asked

pytestmark = pytest.mark.integration

SHORT = Plan(rate_hz=100, kafka_away_s=10, kill_every_s=1.5, settle_s=1.5, restarts=1)
ANSWERED = Asked(0, streamed=True, asked_at=9.0, ended_at=10.0, first_at=9.5, inference_id="i", replica=1)
BROKEN = replace(ANSWERED, problem="broken off")
EVENT = Completed("e", "i", 200)


async def test_nothing_fails_and_no_event_is_lost_while_kafka_servers_and_workers_come_and_go(tmp_path: Path) -> None:
    async with soaking(tmp_path) as soak:
        outcome = await soak.run(SHORT)
    assert outcome.problems() == [], outcome
    assert sum(len(kills) for kills in outcome.kills.values()) >= 2
    answered = [one for one in outcome.asked if one.problem is None]
    assert len(answered) > 0.9 * len(outcome.asked) > 900
    assert sum(one.sent_again for one in outcome.asked) < 0.02 * len(outcome.asked)


class TestWhatTheSoakCallsAProblem:
    def test_an_answer_with_one_event_is_none_and_may_be_written_again_under_its_id(self) -> None:
        assert Outcome(asked=[ANSWERED], events=[EVENT, EVENT], kills={}).problems() == []

    def test_a_lost_event(self) -> None:
        assert Outcome(asked=[ANSWERED], events=[], kills={}).problems() == ["no event of i"]

    def test_a_lost_event_of_a_stream_that_broke_off(self) -> None:
        assert Outcome(asked=[BROKEN], events=[], kills={1: [9.9]}).problems() == ["no event of i"]

    def test_one_inference_under_two_event_ids(self) -> None:
        twice = [EVENT, replace(EVENT, event_id="f")]
        assert Outcome(asked=[ANSWERED], events=twice, kills={}).problems() == ["two events of i"]

    def test_an_event_of_an_answer_that_nobody_got(self) -> None:
        (problem,) = Outcome(asked=[], events=[EVENT], kills={}).problems()
        assert problem.startswith("an event of i")

    def test_a_broken_stream_unless_its_own_server_was_killed_after_it_had_begun(self) -> None:
        failure = replace(EVENT, http_status=502)
        kills = {"its own": {1: [9.9]}, "another": {2: [9.9]}, "before it began": {1: [7.0]}, "long before": {1: [1.0]}}
        problems = {
            name: len(Outcome(asked=[BROKEN], events=[failure], kills=of_case).problems())
            for name, of_case in kills.items()
        }
        assert problems == {"its own": 0, "another": 1, "before it began": 1, "long before": 1}

    def test_a_connection_that_was_closed_while_no_worker_was_restarted(self) -> None:
        sent_again = replace(ANSWERED, sent_again=True)
        for restarts, problems in (([(8.0, 9.0)], 0), ([(1.0, 2.0)], 1), ([], 1)):
            outcome = Outcome(asked=[sent_again], events=[EVENT], kills={}, restarts=restarts)
            assert len(outcome.problems()) == problems

    def test_a_request_that_failed_before_its_first_byte_whatever_was_killed(self) -> None:
        failed = replace(BROKEN, first_at=None, replica=None, inference_id="")
        assert len(Outcome(asked=[failed], events=[], kills={1: [9.9]}).problems()) == 1
