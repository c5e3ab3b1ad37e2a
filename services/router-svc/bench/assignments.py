# ruff: noqa: INP001, T201 - a script
"""Who gets what, over a ramp, restarts, workers and replays, for a million users; and what a decision costs.

    .venv/bin/python services/router-svc/bench/assignments.py [--users 1000000]

Users are routed through the real snapshot, made from the events that feedback-svc and registry-svc announce. It exits
with 1 if anybody moved, or if two experiments knew of each other.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from loopwright.contracts.base import Event
from loopwright.contracts.registry import DEPLOYMENT_CHANGED, EXPERIMENT_CHANGED, TASK_DEFINED
from loopwright.testing.examples import an_event
from router_svc.adapters.board import Board
from router_svc.domain.snapshot import Snapshot
from router_svc.handlers.updating import take_in

RAMP = (0.01, 0.05, 0.10, 0.25, 0.50, 1.00)
EXPERIMENTS = 46  # 1,035 pairs
MOST_CORRELATION = 0.01
TASK = "log-anomaly"
_NOBODY = 255

Arms = npt.NDArray[np.uint8]


def experiment(number: int, *, weight: float = 0.5, coverage: float = 1.0, revision: int = 1) -> Event:
    return an_event(
        EXPERIMENT_CHANGED,
        experiment_id=f"exp-{number}",
        salt=f"experiment-{number}",
        revision=revision,
        epoch=revision,
        coverage_0_1=coverage,
        champion={"variant_id": "smollm2-135m-instruct:1", "weight_0_1": 1 - weight},
        candidate={"variant_id": "log-anomaly:1", "weight_0_1": weight},
    )


def snapshot_of(events: Sequence[Event]) -> Snapshot:
    board = Board()
    for event in events:
        take_in(board, event)
    return board.snapshot


def ground() -> list[Event]:
    return [an_event(TASK_DEFINED), an_event(DEPLOYMENT_CHANGED)]


def arms_of(snapshot: Snapshot, users: int) -> Arms:
    """The arm of each user; _NOBODY for those that take part in nothing."""
    routes = (snapshot.route(TASK, f"user-{number}", "") for number in range(users))
    return np.fromiter((_NOBODY if route.arm is None else route.arm for route in routes), dtype=np.uint8, count=users)


def arms_over(steps: Sequence[tuple[float, float]], users: int) -> Iterator[Arms]:
    """The arms after each step of a ramp, a weight and a coverage."""
    log = ground()
    for revision, (weight, coverage) in enumerate(steps, start=1):
        log.append(experiment(1, weight=weight, coverage=coverage, revision=revision))
        arms = arms_of(snapshot_of(log), users)
        taking_part, candidates = np.count_nonzero(arms != _NOBODY), np.count_nonzero(arms == 1)
        print(f"  weight {weight:.2f}, coverage {coverage:.2f}: {taking_part:9,} take part, {candidates:9,} candidate")
        yield arms


def moved_by_weight(users: int) -> int:
    """Users whom any step took from the candidate back to the champion."""
    steps = arms_over([(share, 1.0) for share in RAMP], users)
    return sum(int(np.count_nonzero((before == 1) & (after != 1))) for before, after in pairwise(steps))


def moved_by_coverage(users: int) -> int:
    """Users who had an arm and had another one, or none, after any step."""
    steps = arms_over([(0.5, share) for share in RAMP], users)
    return sum(int(np.count_nonzero((before != _NOBODY) & (before != after))) for before, after in pairwise(steps))


def digest_of(users: int) -> str:
    return hashlib.sha256(arms_of(snapshot_of([*ground(), experiment(1)]), users).tobytes()).hexdigest()


def digests_of_processes(users: int) -> set[str]:
    """What processes with other hash seeds assign, each started anew."""
    command = [sys.executable, str(Path(__file__)), "--users", str(users), "--digest"]
    runs = [
        subprocess.run(  # noqa: S603 - this file itself
            command, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        for seed in ("1", "4321")
    ]
    return {run.stdout.strip() for run in runs}


def snapshots_of_replays(times: int) -> int:
    """How many different snapshots come of one log, read in so many orders with repetitions."""
    log = ground() + [experiment(1, weight=weight, revision=place) for place, weight in enumerate(RAMP, start=1)]
    expected, different, shuffler = snapshot_of(log), 1, random.Random(7)  # noqa: S311 - no secret
    for _ in range(times):
        replay = log + shuffler.choices(log, k=5)
        shuffler.shuffle(replay)
        different += snapshot_of(replay) != expected
    return different


def worst_correlation(users: int) -> tuple[float, int]:
    """Largest absolute correlation of two experiments' arms, and the number of pairs."""
    rows = np.empty((EXPERIMENTS, users), dtype=np.float32)
    for number in range(EXPERIMENTS):
        rows[number] = arms_of(snapshot_of([*ground(), experiment(number)]), users)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.sqrt((rows * rows).mean(axis=1, keepdims=True))
    pairs = np.abs((rows @ rows.T / users)[np.triu_indices(EXPERIMENTS, k=1)])
    return float(pairs.max()), len(pairs)


def cost_us(events: Sequence[Event]) -> float:
    """Median over rounds of one decision's microseconds, the loop around it included."""
    snapshot = snapshot_of([*ground(), *events])
    users = [f"user-{number}" for number in range(2000)]
    rounds: list[float] = []
    for _ in range(50):
        started = time.perf_counter()
        for user in users:
            snapshot.route(TASK, user, "")
        rounds.append((time.perf_counter() - started) / len(users) * 1e6)
    return float(np.median(rounds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--digest", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.digest:
        print(digest_of(wanted.users))
        return 0
    print(f"{wanted.users:,} users")
    print("ramp of the weight:")
    moved = moved_by_weight(wanted.users)
    print("ramp of the coverage:")
    moved += moved_by_coverage(wanted.users)
    processes = digests_of_processes(wanted.users) | {digest_of(wanted.users)}
    replays = snapshots_of_replays(200)
    worst, pairs = worst_correlation(wanted.users)
    print(f"users moved: {moved}")
    print(f"kinds of assignments by 3 processes with other hash seeds: {len(processes)}")
    print(f"kinds of snapshots by 200 replays in other orders, with repetitions: {replays}")
    print(f"{pairs:,} pairs of experiments: largest correlation {worst:.5f}")
    many = [{"variant_id": f"log-anomaly:{number}", "weight_0_1": 0.25} for number in (2, 3)]
    print(f"a decision without an experiment: {cost_us([]):.2f} us, two arms: {cost_us([experiment(1)]):.2f} us, "
          f"four: {cost_us([an_event(EXPERIMENT_CHANGED, further_candidates=many)]):.2f} us")  # fmt: skip
    return int(moved > 0 or len(processes) > 1 or replays > 1 or worst >= MOST_CORRELATION)


if __name__ == "__main__":
    sys.exit(main())
