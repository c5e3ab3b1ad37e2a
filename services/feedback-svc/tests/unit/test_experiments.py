"""Experiments as a state machine, and what a person's wish amounts to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback_svc.domain.experiments import (
    Ending,
    Experiment,
    ExperimentState,
    Verdict,
    check_open,
    check_revision,
    ending_by_choice,
    even_weights,
    queued,
)
from feedback_svc.domain.serving import (
    Serving,
    are_disjoint,
    awaits_promotion,
    champion_at_start,
    next_to_start,
    why_untenable,
)
from feedback_svc.domain.terms import Terms, agreed
from loopwright.contracts.experiments import Allocation, Layer, Outcome
from loopwright.contracts.tasks import MetricKind, RampStep, RolloutPolicy, SuccessMetric
from loopwright.errors import Conflict, Invalid

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RAMP = RolloutPolicy(
    candidate_share_0_1=0.1,
    ramp=(RampStep(share_0_1=0.3, after_users=100), RampStep(share_0_1=0.5, after_s=3600)),
)


def a_draft(**changes: object) -> Experiment:
    draft = Experiment(
        experiment_id="exp-1", name="n", task_id="t1", state=ExperimentState.DRAFT, salt="s" * 16,
        champion_variant_id="base:1", candidate_variant_id="t1:1", weights_0_1=(0.5, 0.5),
        metric=SuccessMetric(name="stars", kind=MetricKind.STARS), rollout=RolloutPolicy(), known_at=NOON,
        traceparent=None, created_at=NOON, created_by="evidence", queued_at=NOON,
    )  # fmt: skip
    return replace(draft, **changes)


def a_running(**changes: object) -> Experiment:
    return a_draft(**changes).started(champion_variant_id="base:1", now=NOON)


def an_ending(verdict: Verdict = Verdict.PROMOTE, winner: str | None = "t1:1") -> Ending:
    return Ending(verdict=verdict, reason="why", at=NOON + timedelta(minutes=2), winner_variant_id=winner)


def a_stopped() -> Experiment:
    return a_running().ended(an_ending(Verdict.STOPPED, None))


class TestStates:
    def test_runs_in_its_first_epoch_once_it_starts(self) -> None:
        running = a_running()
        assert (running.state, running.epoch, running.revision) == (ExperimentState.RUNNING, 1, 1)
        assert running.queued_at is None

    def test_ramps_until_the_last_step_is_taken(self) -> None:
        ramping = a_running(rollout=RAMP, weights_0_1=(0.9, 0.1))
        assert ramping.state is ExperimentState.RAMPING
        halfway = ramping.with_share(0.3)
        assert (halfway.state, halfway.epoch, halfway.revision) == (ExperimentState.RAMPING, 2, 2)
        assert halfway.with_share(0.5).state is ExperimentState.RUNNING

    def test_candidates_keep_their_proportions_when_their_share_grows(self) -> None:
        grown = a_running(weights_0_1=(0.7, 0.1, 0.2)).with_share(0.6)
        assert grown.weights_0_1 == pytest.approx((0.4, 0.2, 0.4))

    @pytest.mark.parametrize("share", [0.5, 0.4, 1.0, 0.0])
    def test_a_ramp_never_shrinks_nor_empties_an_arm(self, share: float) -> None:
        with pytest.raises(Invalid):
            a_running().with_share(share)

    @pytest.mark.parametrize("state", [ExperimentState.DRAFT, ExperimentState.STOPPED, ExperimentState.CONCLUDED])
    def test_what_does_not_run_does_not_ramp(self, state: ExperimentState) -> None:
        with pytest.raises(Conflict):
            a_draft(state=state).with_share(0.9)

    def test_what_has_ended_takes_no_other_weights(self) -> None:
        with pytest.raises(Conflict):
            a_stopped().with_weights((0.4, 0.6))

    @pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.STOPPED])
    def test_every_verdict_but_stopped_concludes(self, verdict: Verdict) -> None:
        assert a_running().ended(an_ending(verdict)).state is ExperimentState.CONCLUDED
        assert a_stopped().state is ExperimentState.STOPPED

    def test_a_draft_can_be_stopped_and_not_concluded(self) -> None:
        assert a_draft().ended(an_ending(Verdict.STOPPED, None)).state is ExperimentState.STOPPED
        with pytest.raises(Conflict):
            a_draft().ended(an_ending())

    def test_nothing_ends_or_starts_twice(self) -> None:
        check_open(a_running())
        for refused in (check_open, lambda one: one.ended(an_ending()), lambda one: queued(one, now=NOON)):
            with pytest.raises(Conflict):
                refused(a_stopped())

    def test_only_a_draft_that_waits_for_a_person_can_be_queued(self) -> None:
        assert queued(a_draft(queued_at=None), now=NOON).queued_at == NOON
        for other in (a_draft(), a_running()):
            with pytest.raises(Conflict):
                queued(other, now=NOON)

    def test_equivalence_is_announced_as_a_kind_of_inconclusive(self) -> None:
        assert Verdict.EQUIVALENT.outcome is Outcome.INCONCLUSIVE
        assert {verdict.outcome for verdict in Verdict} == set(Outcome)


class TestPersons:
    def test_a_named_winner_decides_the_verdict(self) -> None:
        several = a_running(further_candidate_ids=("t1:2",), weights_0_1=(0.4, 0.3, 0.3))
        for winner, verdict in (("t1:1", Verdict.PROMOTE), ("t1:2", Verdict.PROMOTE), ("base:1", Verdict.ROLLBACK)):
            ending = ending_by_choice(several, winner, by="ann", now=NOON)
            assert (ending.verdict, ending.winner_variant_id, ending.by) == (verdict, winner, "ann")

    def test_refuses_a_winner_that_took_no_part(self) -> None:
        with pytest.raises(Invalid):
            ending_by_choice(a_running(), "t1:9", by="ann", now=NOON)

    def test_refuses_what_is_asked_of_a_state_that_has_passed(self) -> None:
        check_revision(a_running(), None)
        check_revision(a_running(), 1)
        with pytest.raises(Conflict):
            check_revision(a_running().with_share(0.6), 1)

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_refuses_an_empty_arm(self, share: float) -> None:
        with pytest.raises(Invalid):
            even_weights(share, 1)
        assert even_weights(0.5, 2) == (0.5, 0.25, 0.25)

    def test_terms_go_before_the_policy_and_a_target_leaves_an_open_rule_twice_as_many_users(self) -> None:
        policy = RolloutPolicy(min_run_s=60, alpha=0.01)
        terms = agreed(policy, Terms(target_users=200, min_run_s=0, coverage_0_1=0.5))
        assert (terms.planned_users, terms.max_users, terms.min_run_s, terms.coverage_0_1) == (200, 400, 0, 0.5)
        assert terms.alpha == 0.01

    def test_refuses_terms_that_do_not_fit_together(self) -> None:
        falling = Terms(candidate_share_0_1=0.5, ramp=(RampStep(share_0_1=0.3, after_s=1),))
        adaptive = Terms(allocation=Allocation.THOMPSON, ramp=(RampStep(share_0_1=0.9, after_s=1),))
        for terms in (falling, adaptive):
            with pytest.raises(Invalid):
                agreed(RolloutPolicy(), terms)


def serving(champion: str = "base:1", *candidates: str, minutes: float = 1, revision: int = 5) -> Serving:
    return Serving(
        task_id="t1", revision=revision, champion_variant_id=champion, candidate_variant_ids=candidates,
        changed_at=NOON + timedelta(minutes=minutes),
    )  # fmt: skip


class TestUntenable:
    def test_goes_on_while_its_variants_are_deployed(self) -> None:
        assert why_untenable(a_running(), serving("base:1", "t1:1")) is None
        assert why_untenable(a_running(), None) is None

    def test_ends_when_a_candidate_is_gone_or_in_charge(self) -> None:
        assert why_untenable(a_running(), serving("base:1")) == "t1:1 is no longer deployed"
        assert why_untenable(a_running(), serving("t1:1")) == "t1:1 is in charge already"
        several = a_running(further_candidate_ids=("t1:2",), weights_0_1=(0.4, 0.3, 0.3))
        assert why_untenable(several, serving("base:1", "t1:1")) == "t1:2 is no longer deployed"

    def test_ends_when_the_champion_changed_under_a_running_experiment(self) -> None:
        changed = serving("t1:9", "t1:1")
        assert why_untenable(a_running(), changed) == "t1:9 was put in charge meanwhile"
        assert why_untenable(a_draft(), changed) is None

    def test_does_not_believe_a_deployment_that_is_older_than_itself(self) -> None:
        assert why_untenable(a_running(), serving("base:1", minutes=-1)) is None


class TestStart:
    def test_starts_against_whoever_is_in_charge_by_then(self) -> None:
        assert champion_at_start(a_draft(), serving("t1:9", "t1:1")) == "t1:9"
        assert champion_at_start(a_draft(), serving("t1:9", "t1:1", minutes=-1)) == "base:1"
        assert champion_at_start(a_draft(), None) == "base:1"

    def test_waits_until_an_announced_winner_is_in_charge(self) -> None:
        ended = a_running().ended(an_ending())
        assert awaits_promotion(ended, serving("base:1", "t1:1"))
        assert not awaits_promotion(ended, serving("t1:1"))
        assert not awaits_promotion(ended, serving("base:1", "t1:2"))
        assert not awaits_promotion(ended, serving("base:1", "t1:1", minutes=9))
        assert not awaits_promotion(a_running().ended(an_ending(Verdict.ROLLBACK)), serving("base:1", "t1:1"))
        assert not awaits_promotion(None, serving())

    def test_who_waited_longest_starts_first(self) -> None:
        early = a_draft(experiment_id="exp-2", queued_at=NOON - timedelta(minutes=1))
        assert next_to_start([a_draft(), early], []) == early
        assert next_to_start([], []) is None

    def test_only_disjoint_parts_of_one_layer_run_side_by_side(self) -> None:
        low, high = part(0, 0.5), part(0.5, 1)
        assert are_disjoint(low, high)
        assert not are_disjoint(low, part(0.4, 0.6))
        assert not are_disjoint(low, part(0.5, 1, name="other"))
        assert not are_disjoint(low, None)
        beside = a_draft(layer=high)
        assert next_to_start([a_draft(), beside], [a_running(layer=low)]) == beside


def part(from_0_1: float, to_0_1: float, *, name: str = "main") -> Layer:
    return Layer(name=name, salt="layer:t1:main", from_0_1=from_0_1, to_0_1=to_0_1)
