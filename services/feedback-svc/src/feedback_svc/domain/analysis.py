"""The figures of an experiment, as they stand: the deciding interval, and the tests that are only reported."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from feedback_svc.domain.decisions import interval_of
from feedback_svc.domain.experiments import Experiment
from feedback_svc.domain.fixed_horizon import TestResult, mann_whitney, welch
from feedback_svc.domain.sequences import Interval, sample_ratio_log_evidence
from feedback_svc.domain.statistics import UserStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What is known so far.

    Attributes:
        interval: None before each arm has two rated users.
        sample_ratio_p: Always-valid p-value of the planned split at this moment; small means that the split is off.
    """

    interval: Interval | None
    welch: TestResult | None
    mann_whitney: TestResult | None
    sample_ratio_p: float


def analyse(experiment: Experiment, users: Mapping[str, Collection[UserStatistics]]) -> Analysis:
    """Analyses an experiment.

    Args:
        users: Rated users by variant.
    """
    units = (experiment.champion.units, experiment.candidate.units)
    evidence = sample_ratio_log_evidence(units, experiment.shares_0_1)
    return Analysis(
        interval=interval_of(experiment),
        welch=welch(experiment.champion, experiment.candidate),
        mann_whitney=mann_whitney(
            [user.mean for user in users.get(experiment.champion_variant_id, ())],
            [user.mean for user in users.get(experiment.candidate_variant_id, ())],
        ),
        sample_ratio_p=math.exp(-max(0.0, evidence)),
    )
