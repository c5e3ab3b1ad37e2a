"""Decisions from statistics alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback_svc.domain.decisions import decide, summary
from feedback_svc.domain.experiments import (
    Experiment,
    ExperimentState,
    Serving,
    awaits_promotion,
    champion_at_start,
    check_open,
    check_share,
    next_to_start,
    outcome_for_winner,
    why_untenable,
    winner_of,
)
from feedback_svc.domain.statistics import ArmStatistics, UserStatistics, arm_of
from loopwright.contracts.experiments import Outcome
from loopwright.contracts.tasks import MetricKind, RolloutPolicy, SuccessMetric
from loopwright.errors import Conflict, Invalid

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def an_experiment(
    champion: list[float] | None = None, candidate: list[float] | None = None, **changes: object
) -> Experiment:
    experiment = Experiment(
        experiment_id="exp-1", name="n", task_id="t1", state=ExperimentState.RUNNING, salt="s" * 16, revision=1,
        champion_variant_id="base:1", candidate_variant_id="t1:1", candidate_share_0_1=0.5,
        metric=SuccessMetric(name="stars", kind=MetricKind.STARS),
        rollout=RolloutPolicy(min_users_per_arm=50, planned_users=200, max_users=2000), known_at=NOON,
        traceparent=None, created_at=NOON, created_by="evidence", started_at=NOON,
        champion=an_arm(champion or []), candidate=an_arm(candidate or []),
    )  # fmt: skip
    return replace(experiment, **changes)


def an_arm(values: list[float]) -> ArmStatistics:
    return arm_of([UserStatistics(ratings=1, total=value) for value in values], units=len(values))


GOOD, BAD = [5.0, 4.0] * 30, [1.0, 2.0] * 30


def outcome(experiment: Experiment) -> Outcome | None:
    verdict = decide(experiment)
    return verdict.outcome if verdict else None


class TestDecide:
    def test_promotes_a_candidate_that_is_clearly_better(self) -> None:
        verdict = decide(an_experiment(BAD, GOOD))
        assert verdict is not None
        assert verdict.outcome is Outcome.PROMOTE
        assert "better by at least 2." in verdict.reason

    def test_rolls_a_clearly_worse_candidate_back(self) -> None:
        assert outcome(an_experiment(GOOD, BAD)) is Outcome.ROLLBACK

    def test_turns_round_for_a_metric_that_is_better_low(self) -> None:
        low = SuccessMetric(name="stars", kind=MetricKind.STARS, higher_is_better=False)
        assert outcome(an_experiment(GOOD, BAD, metric=low)) is Outcome.PROMOTE
        assert outcome(an_experiment(BAD, GOOD, metric=low)) is Outcome.ROLLBACK

    def test_goes_on_while_nothing_is_clear(self) -> None:
        assert outcome(an_experiment(GOOD, GOOD)) is None
        assert outcome(an_experiment()) is None

    @pytest.mark.parametrize(("champion", "candidate"), [(49, 60), (60, 49)])
    def test_waits_for_enough_users_in_each_arm(self, champion: int, candidate: int) -> None:
        assert outcome(an_experiment(BAD[:champion], GOOD[:candidate])) is None
        assert outcome(an_experiment(BAD[:50], GOOD[:50])) is Outcome.PROMOTE

    def test_gives_up_at_the_most_users(self) -> None:
        few = RolloutPolicy(min_users_per_arm=50, planned_users=100, max_users=120)
        assert outcome(an_experiment(GOOD, GOOD, rollout=few)) is Outcome.INCONCLUSIVE
        assert outcome(an_experiment(GOOD, GOOD[:59], rollout=few)) is None

    def test_gives_up_at_the_most_users_even_if_one_arm_has_too_few(self) -> None:
        few = RolloutPolicy(min_users_per_arm=50, planned_users=60, max_users=62)
        assert outcome(an_experiment(GOOD, BAD[:2], rollout=few, candidate_share_0_1=0.03)) is Outcome.INCONCLUSIVE

    def test_a_split_that_is_off_invalidates_even_a_clear_winner(self) -> None:
        champion = replace(an_arm(BAD), units=900)
        verdict = decide(replace(an_experiment(BAD, GOOD), champion=champion))
        assert verdict is not None
        assert verdict.outcome is Outcome.INVALID
        assert "900 and 60 units" in verdict.reason


class TestSummary:
    def test_says_where_it_stands(self) -> None:
        assert summary(an_experiment()) == "Not enough rated users yet to say anything."
        assert summary(an_experiment(GOOD, BAD)).startswith("After 120 users the candidate's mean stars is 3.00 lower")
        ended = an_experiment(outcome=Outcome.PROMOTE, reason="it is better")
        assert summary(ended) == "Ended as promote: it is better."


def serving(champion: str = "base:1", *candidates: str, minutes: float = 1, revision: int = 5) -> Serving:
    return Serving(
        task_id="t1", revision=revision, champion_variant_id=champion, candidate_variant_ids=candidates,
        changed_at=NOON + timedelta(minutes=minutes),
    )  # fmt: skip


class TestUntenable:
    def test_goes_on_while_its_variants_are_deployed(self) -> None:
        assert why_untenable(an_experiment(), serving("base:1", "t1:1")) is None
        assert why_untenable(an_experiment(), None) is None

    def test_ends_when_the_candidate_is_gone_or_in_charge(self) -> None:
        assert why_untenable(an_experiment(), serving("base:1")) == "t1:1 is no longer deployed"
        assert why_untenable(an_experiment(), serving("t1:1")) == "t1:1 is in charge already"

    def test_ends_when_the_champion_changed_under_a_running_experiment(self) -> None:
        changed = serving("t1:9", "t1:1")
        assert why_untenable(an_experiment(), changed) == "t1:9 was put in charge meanwhile"
        assert why_untenable(an_experiment(state=ExperimentState.WAITING), changed) is None

    def test_does_not_believe_a_deployment_that_is_older_than_itself(self) -> None:
        assert why_untenable(an_experiment(), serving("base:1", minutes=-1)) is None


class TestStart:
    def test_starts_against_whoever_is_in_charge_by_then(self) -> None:
        waiting = an_experiment(state=ExperimentState.WAITING)
        assert champion_at_start(waiting, serving("t1:9", "t1:1")) == "t1:9"
        assert champion_at_start(waiting, serving("t1:9", "t1:1", minutes=-1)) == "base:1"
        assert champion_at_start(waiting, None) == "base:1"

    def test_waits_until_an_announced_winner_is_in_charge(self) -> None:
        ended = an_experiment(
            state=ExperimentState.ENDED, outcome=Outcome.PROMOTE, ended_at=NOON + timedelta(minutes=2)
        )
        assert awaits_promotion(ended, serving("base:1", "t1:1"))
        assert not awaits_promotion(ended, serving("t1:1"))
        assert not awaits_promotion(ended, serving("base:1", "t1:2"))
        assert not awaits_promotion(ended, serving("base:1", "t1:1", minutes=9))
        assert not awaits_promotion(replace(ended, outcome=Outcome.ROLLBACK), serving("base:1", "t1:1"))
        assert not awaits_promotion(None, serving())

    def test_who_came_first_starts_first(self) -> None:
        early = an_experiment(experiment_id="exp-2", created_at=NOON - timedelta(minutes=1))
        assert next_to_start([an_experiment(), early]) == early
        assert next_to_start([]) is None


class TestPersons:
    def test_a_named_winner_decides_the_outcome(self) -> None:
        assert outcome_for_winner(an_experiment(), "t1:1") is Outcome.PROMOTE
        assert outcome_for_winner(an_experiment(), "base:1") is Outcome.ROLLBACK

    def test_refuses_a_winner_that_took_no_part(self) -> None:
        with pytest.raises(Invalid):
            outcome_for_winner(an_experiment(), "t1:9")

    def test_refuses_a_winner_of_what_never_ran(self) -> None:
        with pytest.raises(Conflict):
            outcome_for_winner(an_experiment(state=ExperimentState.WAITING), "t1:1")

    def test_refuses_to_end_twice(self) -> None:
        check_open(an_experiment())
        with pytest.raises(Conflict):
            check_open(an_experiment(state=ExperimentState.ENDED, outcome=Outcome.STOPPED))

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_refuses_an_empty_arm(self, share: float) -> None:
        with pytest.raises(Invalid):
            check_share(share)
        check_share(0.5)

    @pytest.mark.parametrize(
        ("ended_as", "winner"),
        [(Outcome.PROMOTE, "t1:1"), (Outcome.ROLLBACK, "base:1"), (Outcome.INCONCLUSIVE, None),
         (Outcome.INVALID, None), (Outcome.STOPPED, None)],
    )  # fmt: skip
    def test_names_the_variant_that_should_be_in_charge(self, ended_as: Outcome, winner: str | None) -> None:
        assert winner_of(an_experiment(), ended_as) == winner
