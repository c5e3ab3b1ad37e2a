"""What follows from what was observed: an end, other weights, or nothing yet."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback_svc.domain.experiments import Ending, Experiment, Verdict
from feedback_svc.domain.observations import Observed
from feedback_svc.domain.planning import users_to_settle
from feedback_svc.domain.reallocation import due_weights
from feedback_svc.domain.statistics.analysing import analyse
from feedback_svc.domain.statistics.deciding import decide
from feedback_svc.domain.statistics.plan import Guardrail, Plan, PlannedArm, Rule
from feedback_svc.domain.statistics.results import Analysis, Decision, GuardrailState
from loopwright.contracts.experiments import ExperimentKind
from loopwright.contracts.tasks import RampStep, TrialMargins

_SAMPLE_RATIO_ALPHA = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """An experiment as it stands.

    Attributes:
        users: Rated users in all arms.
        users_to_settle: How many would likely find a difference; None if that cannot be said.
        uncomputed: Guardrails that were demanded and cannot be computed of what is kept: they block a promotion.
    """

    plan: Plan
    analysis: Analysis
    users: int
    units: int
    users_to_settle: int | None
    uncomputed: tuple[str, ...]

    @property
    def breached(self) -> tuple[str, ...]:
        """Guardrails that were shown to be broken, with the candidate that did."""
        return tuple(
            f"{comparison.variant_id} breaks {guardrail.name}: worse by at least {guardrail.lower:.3g}"
            for comparison in self.analysis.comparisons
            for guardrail in comparison.guardrails
            if guardrail.state is GuardrailState.BREACHED
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWeights:
    """Weights of the next epoch, the champion's first, and why."""

    weights_0_1: tuple[float, ...]
    reason: str


def demanded(margins: TrialMargins) -> tuple[Guardrail, ...]:
    """The guardrails that a policy names."""
    rises = {
        "latency_ms": margins.max_latency_rise_ms,
        "error_rate": margins.max_error_rise_0_1,
        "refusal_rate": margins.max_refusal_rise_0_1,
        "toxicity": margins.max_toxicity_rise_0_1,
    }
    found = [Guardrail(name=name, margin=margin) for name, margin in rises.items() if margin is not None]
    if margins.max_response_drop_0_1 is not None:
        found.append(Guardrail(name="response_rate", margin=margins.max_response_drop_0_1, higher_is_worse=False))
    return tuple(found)


def plan_of(experiment: Experiment, observed: Observed) -> Plan:
    """What was agreed, as statistics take it."""
    rollout = experiment.rollout
    guardrails = demanded(rollout.margins)
    return Plan(
        arms=tuple(
            PlannedArm(
                variant_id=variant_id, shares_0_1={epoch.number: epoch.weights_0_1[arm] for epoch in observed.epochs}
            )
            for arm, variant_id in enumerate(experiment.variant_ids)
        ),
        metric=experiment.metric.name,
        higher_is_better=experiment.metric.higher_is_better,
        scale=observed.scale,
        alpha=rollout.alpha,
        rule=Rule(rollout.rule) if experiment.kind is ExperimentKind.AB else Rule.ALWAYS_VALID,
        planned_users=rollout.planned_users,
        max_users=rollout.max_users,
        looks=rollout.looks,
        min_users_per_arm=rollout.min_users_per_arm,
        min_run=timedelta(seconds=rollout.min_run_s),
        smallest_effect=rollout.smallest_effect,
        guardrails=tuple(guardrail for guardrail in guardrails if guardrail.name in observed.computed),
    )


def assess(experiment: Experiment, observed: Observed) -> Assessment:
    plan = plan_of(experiment, observed)
    analysis = analyse(plan, observed.arms)
    computed = {guardrail.name for guardrail in plan.guardrails}
    return Assessment(
        plan=plan,
        analysis=analysis,
        users=analysis.users,
        units=observed.units(candidates_only=experiment.kind is ExperimentKind.SHADOW),
        users_to_settle=users_to_settle(experiment, analysis),
        uncomputed=tuple(one.name for one in demanded(experiment.rollout.margins) if one.name not in computed),
    )


def due_change(experiment: Experiment, assessment: Assessment, *, now: datetime) -> Ending | NewWeights | None:
    """What evidence or time bring about now; None to go on as it is."""
    match experiment.kind:
        case ExperimentKind.AB:
            ending = _ending_by_evidence(experiment, assessment, now=now)
        case ExperimentKind.AA:
            ending = _ending_of_sameness(experiment, assessment, now=now)
        case ExperimentKind.SHADOW:
            ending = _ending_of_shadow(experiment, assessment, now=now)
    return ending or _ending_by_time(experiment, assessment, now=now) or _due_weights(experiment, assessment, now=now)


def _ending_by_evidence(experiment: Experiment, assessment: Assessment, *, now: datetime) -> Ending | None:
    assert experiment.started_at is not None
    verdict = decide(
        assessment.plan,
        assessment.analysis,
        started_at=experiment.started_at,
        now=now,
        last_look=experiment.looks_taken,
    )
    if verdict is None:
        return None
    if verdict.decision is Decision.PROMOTE and assessment.uncomputed and not _is_full(experiment, assessment):
        return None  # a promotion waits for every guardrail that was asked for
    if verdict.decision is Decision.PROMOTE and assessment.uncomputed:
        missing = ", ".join(assessment.uncomputed)
        reason = f"{verdict.reason}; nothing is promoted, for {missing} cannot be computed"
        return Ending(verdict=Verdict.INCONCLUSIVE, reason=reason, at=now)
    told = _what_it_takes(assessment) if verdict.decision is Decision.INCONCLUSIVE else ""
    winner = verdict.variant_id if verdict.decision in {Decision.PROMOTE, Decision.ROLLBACK} else None
    return Ending(verdict=Verdict(verdict.decision), reason=f"{verdict.reason}{told}", at=now, winner_variant_id=winner)


def _is_full(experiment: Experiment, assessment: Assessment) -> bool:
    return assessment.users >= experiment.rollout.max_users


def _ending_of_sameness(experiment: Experiment, assessment: Assessment, *, now: datetime) -> Ending | None:
    """An A/A check: two halves that got the same must not differ."""
    analysis = assessment.analysis
    interval = analysis.comparisons[0].interval
    enough = min(variant.users for variant in analysis.variants) >= experiment.rollout.min_users_per_arm
    if analysis.sample_ratio_p < _SAMPLE_RATIO_ALPHA:
        reason = f"units were not split as planned (p = {analysis.sample_ratio_p:.2g}): no comparison can be trusted"
        return Ending(verdict=Verdict.INVALID, reason=reason, at=now)
    if enough and interval is not None and not interval.lower <= 0 <= interval.upper:
        reason = f"two halves that got the same differ by {interval.effect:+.3f}: no comparison can be trusted"
        return Ending(verdict=Verdict.INVALID, reason=reason, at=now)
    return _passed(experiment, assessment, now=now)


def _ending_of_shadow(experiment: Experiment, assessment: Assessment, *, now: datetime) -> Ending | None:
    """A shadow has no ratings: guardrails alone speak."""
    if assessment.breached:
        return Ending(
            verdict=Verdict.ROLLBACK,
            reason="; ".join(assessment.breached),
            at=now,
            winner_variant_id=experiment.champion_variant_id,
        )
    return _passed(experiment, assessment, now=now)


def units_wanted(experiment: Experiment) -> int:
    """Units after which an A/A check or a shadow has shown what it can."""
    preludes = experiment.rollout.preludes
    return preludes[0].units if preludes else experiment.rollout.planned_users


def _passed(experiment: Experiment, assessment: Assessment, *, now: datetime) -> Ending | None:
    if assessment.units < units_wanted(experiment):
        return None
    return Ending(
        verdict=Verdict.EQUIVALENT if experiment.kind is ExperimentKind.AA else Verdict.INCONCLUSIVE,
        reason=f"{assessment.units} units were seen, and nothing spoke against it",
        at=now,
    )


def _ending_by_time(experiment: Experiment, assessment: Assessment, *, now: datetime) -> Ending | None:
    limit = experiment.rollout.max_run_s
    assert experiment.started_at is not None
    if limit is None or now < experiment.started_at + timedelta(seconds=limit):
        return None
    reason = f"its time of {timedelta(seconds=limit)} is over, and nothing is beyond chance: the champion stays"
    return Ending(verdict=Verdict.INCONCLUSIVE, reason=f"{reason}{_what_it_takes(assessment)}", at=now)


def _what_it_takes(assessment: Assessment) -> str:
    wanted = assessment.users_to_settle
    return "" if wanted is None else f"; it would likely take {max(wanted, assessment.users + 1)} rated users to tell"


def _due_weights(experiment: Experiment, assessment: Assessment, *, now: datetime) -> NewWeights | None:
    if experiment.kind is not ExperimentKind.AB:
        return None
    drawn = due_weights(experiment, assessment.analysis)
    if drawn is not None:
        return NewWeights(weights_0_1=drawn, reason=f"weights drawn anew after {assessment.users} users")
    due = _due_step(experiment, assessment, now=now)
    if due is None:
        return None
    return NewWeights(
        weights_0_1=experiment.with_share(due.share_0_1).weights_0_1,
        reason=f"the ramp goes on to {due.share_0_1:.0%} after {assessment.users} users",
    )


def _due_step(experiment: Experiment, assessment: Assessment, *, now: datetime) -> RampStep | None:
    """The furthest step of the ramp that is due."""
    assert experiment.started_at is not None
    due = None
    for step in experiment.steps_left:
        late = step.after_s is None or now >= experiment.started_at + timedelta(seconds=step.after_s)
        heard = step.after_users is None or assessment.users >= step.after_users
        if not (late and heard):
            break
        due = step
    return due


def next_moment(experiment: Experiment, *, after: datetime) -> datetime | None:
    """When time alone could next bring a change about; None if never."""
    assert experiment.started_at is not None
    rollout = experiment.rollout
    lengths = [rollout.min_run_s, rollout.max_run_s, *(step.after_s for step in experiment.steps_left)]
    moments = [experiment.started_at + timedelta(seconds=length) for length in lengths if length]
    return min((moment for moment in moments if moment > after), default=None)
