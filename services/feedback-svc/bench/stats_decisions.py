"""Whether the service, given the users themselves, decides as the thousands of runs say it would."""
# ruff: noqa: INP001 - beside the scripts of this folder

from datetime import UTC, datetime

import numpy as np
from stats_streams import Design, Looks, Runs, looks_of

from feedback_svc.domain.statistics.analysing import analyse
from feedback_svc.domain.statistics.arms import Scale, arm_epoch_of
from feedback_svc.domain.statistics.deciding import decide
from feedback_svc.domain.statistics.plan import ArmSeen, Plan, PlannedArm
from feedback_svc.domain.statistics.results import Decision

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def decided_alike(design: Design, *, runs: int, seed: int) -> tuple[int, int]:
    """How many looks agree, of how many: every tenth look, and the first that decides anything."""
    block = Runs(design, runs=runs, seed=seed)
    looks = looks_of(block)
    pairs = {(run, look) for run in range(runs) for look in range(9, design.looks, 40)}
    decided = looks.promoted | looks.worse
    pairs |= {(int(run), int(decided[run].argmax())) for run in np.flatnonzero(decided.any(axis=1))}
    same = sum(decision_at(block, run, look) is expected(looks, run, look) for run, look in pairs)
    return same, len(pairs)


def expected(looks: Looks, run: int, look: int) -> Decision | None:
    if looks.promoted[run, look]:
        return Decision.PROMOTE
    return Decision.ROLLBACK if looks.worse[run, look] else None


def decision_at(block: Runs, run: int, look: int) -> Decision | None:
    """By the service's whole path: users, sufficient statistics, analysis, decision."""
    design, scale = block.design, Scale()
    users = block.users_at(run, look)
    epochs = range(len(design.shares))
    shares = [{epoch: 1 - design.shares[epoch] for epoch in epochs}, {epoch: design.shares[epoch] for epoch in epochs}]
    names = ("champion", "challenger")
    plan = Plan(
        arms=tuple(PlannedArm(variant_id=name, shares_0_1=share) for name, share in zip(names, shares, strict=True)),
        metric="stars",
        planned_users=2 * design.planned_users,
        max_users=10**6,
        alpha=design.alpha,
        min_users_per_arm=design.min_users,
    )
    arms = [
        ArmSeen(
            variant_id=name,
            epochs={epoch: arm_epoch_of(users.get((epoch, bool(at)), []), scale=scale) for epoch in epochs},
        )
        for at, name in enumerate(names)
    ]
    verdict = decide(plan, analyse(plan, arms), started_at=NOON, now=NOON)
    return verdict.decision if verdict else None
