"""What was counted of an experiment up to now, in the form that statistics take."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from feedback_svc.domain.experiments import Epoch, Experiment
from feedback_svc.domain.statistics.arms import ArmEpoch, Scale, arm_epoch_of
from feedback_svc.domain.statistics.betting import Arrival
from feedback_svc.domain.statistics.moments import MeanMoments
from feedback_svc.domain.statistics.offpolicy import LoggedUser, PolicyValue, self_normalised
from feedback_svc.domain.statistics.plan import ArmSeen
from feedback_svc.domain.statistics.users import UserMoments
from loopwright.contracts.tasks import MetricKind

_NO_METRICS: Mapping[str, tuple[UserMoments, ...]] = {}
_STARS, _SHARE = Scale(low=1.0, high=5.0), Scale(low=0.0, high=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedUnit:
    """How one unit was served within one arm and epoch: means over its requests.

    Attributes:
        first_at: When its first request was answered.
        refusal_rate: Of the requests whose answer is kept; None if none is.
        toxicity: Of the answers that were scored, 0 to 1; None if none was.
    """

    first_at: datetime
    latency_ms: float
    error_rate: float
    refusal_rate: float | None
    toxicity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Rows of one arm in one epoch.

    Attributes:
        users: Every unit that was exposed, rated or not.
        served: How units were served; empty unless a guardrail asks.
        daily_means: Users' mean ratings by whole days since exposure, day 0 first; empty unless figures are wanted in full.
        others: Users' ratings of other metrics, by metric; the same.
        firsts: Users' first ratings; empty unless an arm is tiny.
    """

    users: tuple[UserMoments, ...] = ()
    served: tuple[ServedUnit, ...] = ()
    daily_means: tuple[tuple[float, ...], ...] = ()
    others: Mapping[str, tuple[UserMoments, ...]] = field(default_factory=lambda: _NO_METRICS)
    firsts: tuple[Arrival, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that an experiment is judged by.

    Attributes:
        arms: The champion first.
        computed: Names of the guardrails that can be computed of what is kept.
        counted: Rows by arm, 0 the champion's, and epoch.
    """

    epochs: tuple[Epoch, ...]
    scale: Scale
    arms: tuple[ArmSeen, ...]
    computed: frozenset[str]
    counted: Mapping[tuple[int, int], Counted]

    def units(self, *, candidates_only: bool = False) -> int:
        """Units that were seen, in all arms or all but the champion's."""
        return sum(epoch.units for arm in self.arms[candidates_only:] for epoch in arm.epochs.values())


def observed_of(
    experiment: Experiment, epochs: Sequence[Epoch], counted: Mapping[tuple[int, int], Counted]
) -> Observed:
    """Sums up rows.

    Args:
        counted: Rows by arm, 0 the champion's, and epoch.
    """
    scale = _scale_of(experiment, (user for rows in counted.values() for user in rows.users))
    by_arm: dict[int, dict[int, ArmEpoch]] = defaultdict(dict)
    rates: dict[int, dict[str, dict[int, tuple[Arrival, ...]]]] = defaultdict(lambda: defaultdict(dict))
    firsts: dict[int, tuple[Arrival, ...]] = defaultdict(tuple)
    computed: set[str] = {"response_rate"}
    for (arm, epoch), rows in counted.items():
        summed = arm_epoch_of(rows.users, scale=scale, units=max(len(rows.users), len(rows.served)))
        arrivals = _rates_of(rows.served)
        guardrails = {name: MeanMoments.of(one.value for one in seen) for name, seen in arrivals.items()}
        if rows.served:
            guardrails["latency_ms"] = MeanMoments.of(unit.latency_ms for unit in rows.served)
        computed |= guardrails.keys()
        by_day = tuple(MeanMoments.of(means) for means in rows.daily_means)
        firsts[arm] += rows.firsts
        by_arm[arm][epoch] = replace(summed, guardrails=guardrails, by_day=by_day)
        for name, seen in arrivals.items():
            rates[arm][name][epoch] = seen
    return Observed(
        epochs=tuple(epochs),
        scale=scale,
        arms=tuple(
            ArmSeen(variant_id=variant_id, epochs=by_arm[arm], firsts=firsts[arm], rates=rates[arm])
            for arm, variant_id in enumerate(experiment.variant_ids)
        ),
        computed=frozenset(computed),
        counted=counted,
    )


def worth_of(observed: Observed) -> tuple[PolicyValue | None, ...]:
    """Off-policy: what each arm would be worth were it given to everybody; empty while weights never changed.

    Every rated user counts by the weight that its arm had in its epoch.
    """
    weights = {epoch.number: epoch.weights_0_1 for epoch in observed.epochs}
    if len(weights) < 2:
        return ()
    logged = [
        (arm, weights[epoch][arm], user.mean)
        for (arm, epoch), rows in observed.counted.items()
        if epoch in weights
        for user in rows.users
        if user.ratings
    ]
    return tuple(
        self_normalised(
            [
                LoggedUser(value=value, propensity_0_1=weight, chosen_0_1=float(arm == chosen))
                for arm, weight, value in logged
            ]
        )
        for chosen in range(len(observed.arms))
    )


def _rates_of(served: tuple[ServedUnit, ...]) -> dict[str, tuple[Arrival, ...]]:
    """What lies between 0 and 1 of every unit, by name; a rate that nobody has is left out."""
    by_name = {
        "error_rate": [(unit.first_at, unit.error_rate) for unit in served],
        "refusal_rate": [(unit.first_at, unit.refusal_rate) for unit in served],
        "toxicity": [(unit.first_at, unit.toxicity) for unit in served],
    }
    rates = {
        name: tuple(Arrival(at.timestamp(), value) for at, value in units if value is not None)
        for name, units in by_name.items()
    }
    return {name: arrivals for name, arrivals in rates.items() if arrivals}


def _scale_of(experiment: Experiment, users: Iterable[UserMoments]) -> Scale:
    """A named number has no ends of its own: those of what was seen are taken."""
    match experiment.metric.kind:
        case MetricKind.STARS:
            return _STARS
        case MetricKind.THUMB | MetricKind.BOOLEAN:
            return _SHARE
        case MetricKind.FLOAT:
            means = [user.mean for user in users if user.ratings]
            low, high = (min(means), max(means)) if means else (0.0, 1.0)
            return Scale(low=low, high=high) if low < high else Scale(low=low, high=low + 1)
