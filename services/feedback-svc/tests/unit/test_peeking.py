"""Looking as often as one likes must not raise the error: experiments without any difference, and the real interval.

Ratings are J-shaped, as people's are; each user rates once; looks every ten users to 2,000, and after every user to 400.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from feedback_svc.domain.decisions import decide
from feedback_svc.domain.experiments import Experiment, ExperimentState
from feedback_svc.domain.sequences import half_width
from feedback_svc.domain.statistics import ArmStatistics
from loopwright.contracts.experiments import Outcome
from loopwright.contracts.tasks import MetricKind, RolloutPolicy, SuccessMetric

STARS = np.arange(1.0, 6.0)
J_SHAPED = (0.10, 0.08, 0.15, 0.27, 0.40)
ALPHA = 0.05
POLICY = RolloutPolicy(min_users_per_arm=50, planned_users=200, max_users=10**6, alpha=ALPHA)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Grid = npt.NDArray[np.float64]  # [run, look]


def bound(runs: int) -> float:
    """Five per cent and two standard errors."""
    return ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / runs)


class Null:
    """Runs without any difference: per look the users, sum and sum of squares of each arm, `[run, look]`."""

    def __init__(self, *, runs: int, users: int, every: int, share: float, seed: int) -> None:
        chance = np.random.default_rng(seed)
        ratings = chance.choice(STARS, size=(runs, users), p=J_SHAPED)
        candidate = chance.random((runs, users)) < share
        self.share = share
        self.looks = np.arange(every, users + 1, every)
        self.champion, self.candidate = (
            tuple(np.cumsum(mine * ratings**power, axis=1)[:, self.looks - 1] for power in (0, 1, 2))
            for mine in (~candidate, candidate)
        )
        self.enough = np.minimum(self.champion[0], self.candidate[0]) >= POLICY.min_users_per_arm

    def difference(self) -> Grid:
        (n0, s0, _), (n1, s1, _) = self.champion, self.candidate
        with np.errstate(all="ignore"):
            return s1 / n1 - s0 / n0

    def squared_errors(self) -> tuple[Grid, Grid]:
        """Squared standard errors of the two means."""
        with np.errstate(all="ignore"):
            one, other = ((q - s**2 / n) / (n - 1) / n for n, s, q in (self.champion, self.candidate))
        return one, other

    def verdicts(self) -> Grid:
        """1 where a look promotes, -1 where it rolls back, else 0."""
        widths = np.array(
            [half_width(1.0, n, planned_users=POLICY.planned_users, alpha=ALPHA) for n in self.looks.tolist()]
        )
        limit = np.sqrt(sum(self.squared_errors())) * widths
        difference = self.difference()
        return np.where(self.enough & (np.abs(difference) > limit), np.sign(difference), 0.0)

    def peeked_t_test(self) -> float:
        """Share of runs in which a t-test at 5 % ever finds a difference."""
        one, other = self.squared_errors()
        with np.errstate(all="ignore"):
            t = self.difference() / np.sqrt(one + other)
            freedom = (one + other) ** 2 / (one**2 / (self.champion[0] - 1) + other**2 / (self.candidate[0] - 1))
            p = 2 * special.stdtr(freedom, -np.abs(t))
        return float(((p < ALPHA) & self.enough).any(axis=1).mean())

    def experiment_at(self, run: int, look: int) -> Experiment:
        """What the service would know at that look."""
        return replace(
            EXPERIMENT,
            candidate_share_0_1=self.share,
            champion=_arm(self.champion, run, look),
            candidate=_arm(self.candidate, run, look),
        )


EXPERIMENT = Experiment(
    experiment_id="exp-1", name="null", task_id="t1", state=ExperimentState.RUNNING, salt="s" * 16, revision=1,
    champion_variant_id="a:1", candidate_variant_id="b:1", candidate_share_0_1=0.5,
    metric=SuccessMetric(name="stars", kind=MetricKind.STARS), rollout=POLICY, known_at=NOON, traceparent=None,
    created_at=NOON, created_by="evidence",
)  # fmt: skip


def _arm(sums: tuple[Grid, ...], run: int, look: int) -> ArmStatistics:
    users, total, squares = (float(part[run, look]) for part in sums)
    return ArmStatistics(units=int(users), users=int(users), ratings=int(users), total=total, squares=squares)


@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize(("runs", "users", "every"), [(4000, 2000, 10), (4000, 400, 1)])
def test_peeking_keeps_false_verdicts_below_five_per_cent(runs: int, users: int, every: int, share: float) -> None:
    verdicts = Null(runs=runs, users=users, every=every, share=share, seed=17).verdicts()

    assert (verdicts != 0).any(axis=1).mean() <= bound(runs)
    assert (verdicts > 0).any(axis=1).mean() <= bound(runs) / 2
    assert (verdicts != 0).any(axis=1).mean() > 0  # a rule that never decides would pass as well


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_the_bound_bites_for_a_t_test_peeked_at_fails_it(share: float) -> None:
    null = Null(runs=4000, users=2000, every=10, share=share, seed=17)
    assert null.peeked_t_test() > 5 * ALPHA


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_the_service_decides_at_the_same_look_as_the_simulation(share: float) -> None:
    null = Null(runs=200, users=400, every=10, share=share, seed=23)
    verdicts = null.verdicts()
    looks = {*((run, look) for run in range(20) for look in range(40)), *zip(*np.nonzero(verdicts), strict=True)}
    assert (verdicts != 0).any()
    for run, look in looks:
        verdict = decide(null.experiment_at(run, look))
        expected = {1.0: Outcome.PROMOTE, -1.0: Outcome.ROLLBACK, 0.0: None}[float(verdicts[run, look])]
        assert (verdict.outcome if verdict else None) is expected, (run, look)
