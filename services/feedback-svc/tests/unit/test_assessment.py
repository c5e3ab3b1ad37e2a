"""What follows from what was observed: an end, other weights, or nothing yet."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback_svc.domain.assessment import NewWeights, assess, due_change, next_moment
from feedback_svc.domain.experiments import Ending, Epoch, Experiment, ExperimentState, Verdict
from feedback_svc.domain.observations import Counted, ServedUnit, observed_of
from feedback_svc.domain.planning import PastRaters, planning_of
from feedback_svc.domain.refusals import refuses
from feedback_svc.domain.reports import Report, report_of
from feedback_svc.domain.statistics.users import UserMoments
from loopwright.contracts.experiments import Allocation, ExperimentKind
from loopwright.contracts.tasks import (
    MetricKind,
    Prelude,
    RampStep,
    RolloutPolicy,
    SuccessMetric,
    TrialMargins,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GOOD, SAME, BAD = [5.0, 4.0] * 30, [3.0, 2.0] * 30, [1.0, 2.0] * 30
POLICY = RolloutPolicy(min_users_per_arm=50, planned_users=200, max_users=2000)
SERVED = ServedUnit(first_at=NOON, latency_ms=100.0, error_rate=0.0, refusal_rate=0.0, toxicity=0.0)
FAST, SLOW = SERVED, replace(SERVED, latency_ms=900.0)


def a_running(policy: RolloutPolicy = POLICY, **changes: object) -> Experiment:
    experiment = Experiment(
        experiment_id="exp-1", name="n", task_id="t1", state=ExperimentState.RUNNING, salt="s" * 16, revision=1,
        epoch=1, champion_variant_id="base:1", candidate_variant_id="t1:1", weights_0_1=(0.5, 0.5),
        metric=SuccessMetric(name="stars", kind=MetricKind.STARS), rollout=policy, known_at=NOON,
        traceparent=None, created_at=NOON, created_by="evidence", started_at=NOON,
    )  # fmt: skip
    return replace(experiment, **changes)


def heard(values: Sequence[float], *, served: Sequence[ServedUnit] = ()) -> Counted:
    users = tuple(UserMoments(ratings=1, total=value, squares=value**2) for value in values)
    return Counted(users=users, served=tuple(served))


def served(unit: ServedUnit, number: int) -> Counted:
    """Units that came one after the other, and did not rate."""
    units = tuple(replace(unit, first_at=NOON + timedelta(seconds=second)) for second in range(number))
    return Counted(users=(UserMoments(),) * number, served=units)


def change(
    experiment: Experiment, counted: Mapping[tuple[int, int], Counted], *, hours: float = 1, epochs: int = 1
) -> Ending | NewWeights | None:
    lasted = [Epoch(number=n, weights_0_1=experiment.weights_0_1, began_at=NOON) for n in range(1, epochs + 1)]
    assessment = assess(experiment, observed_of(experiment, lasted, counted))
    return due_change(experiment, assessment, now=NOON + timedelta(hours=hours))


def verdict(experiment: Experiment, champion: Counted, candidate: Counted, *, hours: float = 1) -> Verdict | None:
    found = change(experiment, {(0, 1): champion, (1, 1): candidate}, hours=hours)
    assert not isinstance(found, NewWeights)
    return found.verdict if found else None


class TestVerdicts:
    def test_promotes_the_better_and_rolls_the_worse_back(self) -> None:
        assert verdict(a_running(), heard(BAD), heard(GOOD)) is Verdict.PROMOTE
        assert verdict(a_running(), heard(GOOD), heard(BAD)) is Verdict.ROLLBACK
        assert verdict(a_running(), heard(SAME), heard(SAME)) is None

    def test_turns_round_for_a_metric_that_is_better_low(self) -> None:
        low = SuccessMetric(name="minutes", kind=MetricKind.FLOAT, higher_is_better=False)
        assert verdict(a_running(metric=low), heard(GOOD), heard(BAD)) is Verdict.PROMOTE

    def test_names_the_better_of_several_candidates(self) -> None:
        several = a_running(further_candidate_ids=("t1:2",), weights_0_1=(0.4, 0.3, 0.3))
        found = change(several, {(0, 1): heard(BAD), (1, 1): heard(SAME), (2, 1): heard(GOOD)})
        assert isinstance(found, Ending)
        assert (found.verdict, found.winner_variant_id) == (Verdict.PROMOTE, "t1:2")

    def test_a_fixed_horizon_decides_nothing_before_it(self) -> None:
        fixed = a_running(POLICY.model_copy(update={"rule": "fixed", "planned_users": 121}))
        assert verdict(fixed, heard(BAD), heard(GOOD)) is None
        assert verdict(fixed, heard([*BAD, 1.0]), heard(GOOD)) is Verdict.PROMOTE

    def test_at_the_end_of_its_time_it_says_what_it_would_take(self) -> None:
        timed = a_running(POLICY.model_copy(update={"max_run_s": 3600}))
        nearly = [*SAME[:-1], 3.0]
        assert verdict(timed, heard(SAME), heard(nearly), hours=0.9) is None
        found = change(timed, {(0, 1): heard(SAME), (1, 1): heard(nearly)})
        assert isinstance(found, Ending)
        assert found.verdict is Verdict.INCONCLUSIVE
        wanted = re.search(r"take (\d+) rated users", found.reason)
        assert wanted is not None
        assert int(wanted[1]) > 10_000

    def test_nothing_is_said_of_a_draft(self) -> None:
        draft = a_running(state=ExperimentState.DRAFT, started_at=None, epoch=0)
        observed = observed_of(draft, [], {})
        report = report_of(assess(draft, observed), observed)
        assert report.users == 0
        assert report == type(report).model_validate(report.model_dump(mode="json"))


class TestGuardrails:
    MARGINS = POLICY.model_copy(update={"margins": TrialMargins(max_latency_rise_ms=100)})

    def test_a_guardrail_that_breaks_outweighs_the_ratings(self) -> None:
        slow = heard(GOOD, served=[SLOW] * 60)
        assert verdict(a_running(self.MARGINS), heard(BAD, served=[FAST] * 60), slow) is Verdict.ROLLBACK

    def test_one_that_holds_lets_the_better_pass(self) -> None:
        fast = heard(GOOD, served=[FAST] * 60)
        assert verdict(a_running(self.MARGINS), heard(BAD, served=[FAST] * 60), fast) is Verdict.PROMOTE

    def test_one_that_cannot_be_computed_blocks_a_promotion_and_no_rollback(self) -> None:
        assert verdict(a_running(self.MARGINS), heard(BAD), heard(GOOD)) is None
        full = self.MARGINS.model_copy(update={"max_users": 120})
        assert verdict(a_running(full), heard(BAD), heard(GOOD)) is Verdict.INCONCLUSIVE
        assert verdict(a_running(self.MARGINS), heard(GOOD), heard(BAD)) is Verdict.ROLLBACK

    @pytest.mark.parametrize(
        ("margins", "harm"),
        [
            (TrialMargins(max_toxicity_rise_0_1=0.02), {"toxicity": 0.5}),
            (TrialMargins(max_refusal_rise_0_1=0.02), {"refusal_rate": 1.0}),
            (TrialMargins(max_error_rise_0_1=0.02), {"error_rate": 1.0}),
        ],
    )
    def test_a_rate_that_rises_ends_it_long_before_arms_are_large_enough_for_verdicts(
        self, margins: TrialMargins, harm: dict[str, float]
    ) -> None:
        watched = a_running(POLICY.model_copy(update={"margins": margins}))
        harmful = replace(SERVED, **harm)
        few, some = 10, 40
        assert verdict(watched, served(SERVED, few), served(harmful, few)) is None
        assert verdict(watched, served(SERVED, some), served(harmful, some)) is Verdict.ROLLBACK
        assert verdict(watched, served(harmful, some), served(SERVED, some)) is None
        assert verdict(watched, served(harmful, some), served(harmful, some)) is None

    def test_toxicity_that_nobody_has_scored_blocks_a_promotion(self) -> None:
        watched = a_running(POLICY.model_copy(update={"margins": TrialMargins(max_toxicity_rise_0_1=0.02)}))
        unscored = [replace(SERVED, toxicity=None)] * 60
        assert verdict(watched, heard(BAD, served=unscored), heard(GOOD, served=unscored)) is None
        assert verdict(watched, heard(BAD, served=[SERVED] * 60), heard(GOOD, served=[SERVED] * 60)) is Verdict.PROMOTE

    @pytest.mark.parametrize(
        ("answer", "refused"),
        [
            ("I'm sorry, but I can't help with that.", True), ("As an AI language model, I cannot say.", True),
            ("죄송하지만 해당 요청은 도와드릴 수 없습니다.", True), ("Sorry for the wait: restart the service.", False),
            ("죄송합니다. 재시작하면 됩니다.", False), ('{"anomaly_status":"alert"}', False),
            ("죄송합니다. 그 질문에는 답변드릴 수 없습니다.", True), ("해당 내용은 제공해 드릴 수 없습니다.", True),
            ("그 요청은 들어 드릴 수 없습니다.", True), ("도와드리지 못해 죄송합니다.", True),
            ("답변을 드리기 어렵습니다.", True), ("저는 AI 언어 모델이라 의견이 없습니다.", True),
            ("I’m sorry, but I can’t help with that.", True), ("I'm unable to assist with this request.", True),
            ("**I cannot provide** that.", True), ("Sorry, I can't do that.", True),
            ("Unfortunately, I won't be able to help with that.", True), ("I'm not able to help with that.", True),
            ("재시작 없이는 적용할 수 없습니다.", False), ("오류가 없습니다.", False),
            ("I can't find an error in this log: it is normal.", False), ("미안할 일이 아닙니다. 정상입니다.", False),
            ("죄송합니다만 디스크가 가득 찼습니다. 로그를 지우세요.", False), ("", False), (" \n*_" * 5000, False),
            (f"{' ' * 5000}> I cannot help.", True), ("VPN 설정은 제가 도와드릴 수 없습니다.", True),
        ],
    )  # fmt: skip
    def test_knows_refusals_by_how_they_begin(self, answer: str, *, refused: bool) -> None:
        assert refuses(answer) is refused


class TestWeights:
    def test_a_step_is_taken_when_all_that_it_names_has_come(self) -> None:
        step = RampStep(share_0_1=0.8, after_users=100, after_s=1800)
        ramping = a_running(POLICY.model_copy(update={"ramp": (step,)}), state=ExperimentState.RAMPING)
        few, many = {(0, 1): heard(SAME[:40]), (1, 1): heard(SAME[:40])}, {(0, 1): heard(SAME), (1, 1): heard(SAME)}
        assert change(ramping, few) is None
        assert change(ramping, many, hours=0.4) is None
        found = change(ramping, many)
        assert isinstance(found, NewWeights)
        assert found.weights_0_1 == pytest.approx((0.2, 0.8))
        assert next_moment(ramping, after=NOON) == NOON + timedelta(seconds=1800)

    @pytest.mark.parametrize("allocation", [Allocation.THOMPSON, Allocation.TRACK_AND_STOP])
    def test_an_adaptive_split_is_drawn_anew_once_an_epoch_and_starves_nobody(self, allocation: Allocation) -> None:
        policy = POLICY.model_copy(update={"allocation": allocation, "reallocate_every_users": 150})
        several = a_running(policy, further_candidate_ids=("t1:2",), weights_0_1=(0.4, 0.3, 0.3))
        worst_last = {(0, 1): heard(SAME), (1, 1): heard([3.5, 2.0] * 30), (2, 1): heard([2.5, 2.0] * 30)}
        found = change(several, worst_last)
        assert isinstance(found, NewWeights)
        assert sum(found.weights_0_1) == pytest.approx(1)
        assert min(found.weights_0_1) >= 0.1 - 1e-9
        assert found.weights_0_1[1] > found.weights_0_1[2]
        assert change(several, worst_last) == found
        assert change(replace(several, epoch=2), worst_last) is None


class TestReports:
    def test_off_policy_what_was_drawn_rarely_counts_the_more(self) -> None:
        """Days got better just as the candidate's share grew: pooled means would praise it."""
        epochs = [
            Epoch(number=1, weights_0_1=(0.8, 0.2), began_at=NOON),
            Epoch(number=2, weights_0_1=(0.2, 0.8), began_at=NOON + timedelta(hours=1)),
        ]
        counted = {
            (0, 1): heard([1.0, 2.0] * 40), (1, 1): heard([1.0, 2.0] * 10),
            (0, 2): heard([4.0, 5.0] * 10), (1, 2): heard([4.0, 5.0] * 40),
        }  # fmt: skip
        values = [worth.value for worth in report(epochs, counted).worth if worth]
        assert values == pytest.approx([3.0, 3.0])
        assert report(epochs[:1], {}).worth == ()

    def test_segments_tell_old_hands_from_newcomers(self) -> None:
        old = tuple(UserMoments(ratings=1, total=v, squares=v * v, before=3.0 + v / 5) for v in [4.0, 5.0] * 20)
        fresh = heard(SAME).users
        epochs = [Epoch(number=1, weights_0_1=(0.5, 0.5), began_at=NOON)]
        counted = {(0, 1): Counted(users=(*old, *fresh)), (1, 1): Counted(users=(*old, *heard(GOOD).users))}
        effects = {one.name: one.seen for one in report(epochs, counted).segments}
        assert effects == {"rated before": pytest.approx(0), "new": pytest.approx(2)}


def report(epochs: list[Epoch], counted: Mapping[tuple[int, int], Counted]) -> Report:
    experiment = a_running()
    observed = observed_of(experiment, epochs, counted)
    return report_of(assess(experiment, observed), observed)


class TestPreludes:
    def test_an_aa_check_passes_when_both_halves_are_alike_and_fails_otherwise(self) -> None:
        policy = POLICY.model_copy(update={"preludes": (Prelude(kind="aa", units=120),)})
        check = a_running(policy, kind=ExperimentKind.AA)
        assert verdict(check, heard(SAME), heard(SAME)) is Verdict.EQUIVALENT
        assert verdict(check, heard(SAME), heard(SAME[:59])) is None
        assert verdict(check, heard(BAD), heard(GOOD)) is Verdict.INVALID

    def test_a_shadow_ends_by_its_guardrails_or_its_units(self) -> None:
        policy = TestGuardrails.MARGINS.model_copy(update={"preludes": (Prelude(kind="shadow", units=60),)})
        shadow = a_running(policy, kind=ExperimentKind.SHADOW)
        champion = Counted(served=(FAST,) * 60)
        assert verdict(shadow, champion, Counted(served=(FAST,) * 60)) is Verdict.INCONCLUSIVE
        assert verdict(shadow, champion, Counted(served=(FAST,) * 59)) is None
        assert verdict(shadow, champion, Counted(served=(SLOW,) * 60)) is Verdict.ROLLBACK


class TestPlanning:
    def test_warns_where_no_answer_is_the_likelier_outcome(self) -> None:
        unsure = planning_of(a_running(), PastRaters(users=0, std_dev=None))
        assert (unsure.observed, unsure.std_dev) == (False, 1.3)
        assert unsure.power < 0.5
        assert unsure.warning is not None
        calm = planning_of(a_running(), PastRaters(users=100, std_dev=0.5))
        assert (calm.observed, calm.warning) == (True, None)
        assert calm.smallest_detectable == pytest.approx(2.8016 * 0.5 * 2 / 200**0.5, rel=1e-3)
