"""Weights that follow the evidence: drawn anew at the end of an epoch, never within one."""

from hashlib import blake2b

from feedback_svc.domain.experiments import Experiment
from feedback_svc.domain.statistics.allocation import SeenArm, top_two_shares, track_and_stop_shares
from feedback_svc.domain.statistics.results import Analysis
from loopwright.contracts.experiments import Allocation


def due_weights(experiment: Experiment, analysis: Analysis) -> tuple[float, ...] | None:
    """Weights of the next epoch; None while this one lasts, or before each arm has enough users to be judged by.

    The draw is seeded by the experiment's salt and epoch: whoever replays the log draws the same.
    """
    rollout = experiment.rollout
    if rollout.allocation is Allocation.FIXED or analysis.users < experiment.epoch * rollout.reallocate_every_users:
        return None
    sign = 1 if experiment.metric.higher_is_better else -1
    arms = [
        SeenArm(mean=sign * variant.mean, variance=variant.variance, users=variant.users)
        for variant in analysis.variants
        if variant.mean is not None and variant.variance is not None and variant.users >= rollout.min_users_per_arm
    ]
    if len(arms) < len(analysis.variants):
        return None
    if rollout.allocation is Allocation.TRACK_AND_STOP:
        return track_and_stop_shares(arms)
    seed = blake2b(f"{experiment.salt}:{experiment.epoch}".encode(), digest_size=8).digest()
    return top_two_shares(arms, seed=int.from_bytes(seed, "big"))
