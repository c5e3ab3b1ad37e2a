"""Shows that the statistics keep what they promise; fails if not: `python services/feedback-svc/bench/check_stats.py`.

Thousands of made-up experiments per row, looked at as they run; what each look says comes from the service's own
formulas. `--runs` makes it shorter, `--only` picks sections.
"""
# ruff: noqa: INP001, T201 - a script beside the package that prints tables

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import stats
from stats_decisions import decided_alike
from stats_missing import Silence, seen
from stats_population import Population
from stats_streams import Design, Runs, looks_of

BLOCK = 50  # runs that advance together: their arrays fit the cache
ALPHA = 0.05
REFERENCE = Population(shares=(0.06, 0.045, 0.15, 0.335, 0.41), icc=0.29, fresh_0_1=0.3)
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what was measured, and the limit it has to keep."""

    name: str
    measured: float
    limit: float
    at_most: bool
    beside: str = ""

    @property
    def kept(self) -> bool:
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


def bound(runs: int, share: float = ALPHA) -> float:
    """A share and two standard errors of it."""
    return share + 2 * math.sqrt(share * (1 - share) / runs)


def in_blocks(pool: ProcessPoolExecutor, block: Callable[..., Counts], design: object, *, runs: int) -> Counts:
    """Mean over all runs of what `block(design, seed)` measures over a block of them."""
    seeds = range(max(1, runs // BLOCK))
    return np.mean(list(pool.map(block, [design] * len(seeds), seeds, chunksize=4)), axis=0)


def errors(design: Design, seed: int) -> Counts:
    """Shares of runs: any verdict, promotion, better without the check of tenure, t-test peeked at."""
    looks = looks_of(Runs(design, runs=BLOCK, seed=seed))
    verdicts = (looks.better | looks.worse, looks.promoted, looks.better, looks.peeked_t_test(alpha=design.alpha))
    return np.array([flags.any(axis=1).mean() for flags in verdicts])


def powers(design: Design, seed: int) -> Counts:
    """Promoted at all, users until then, and found at 200 users with CUPED and at 240 without, at one look each."""
    looks = looks_of(Runs(design, runs=BLOCK, seed=seed))
    promoted = looks.promoted
    ever = promoted.any(axis=1)
    users = np.where(ever, promoted.argmax(axis=1) + 1, design.looks) * design.users_per_look
    at_200, at_240 = (number // design.users_per_look - 1 for number in (200, 240))
    cuped = found(looks.effect[:, at_200], looks.std_error[:, at_200], 198)
    plain = found(np.asarray(looks.plain.effect)[:, at_240], np.sqrt(looks.plain.variance)[:, at_240], 238)
    return np.array([ever.mean(), users.mean(), cuped, plain])


def found(effect: Counts, std_error: Counts, freedom: int) -> float:
    """Share of runs that a two-sided t-test at one look finds better."""
    return float((effect / std_error > stats.t.isf(ALPHA / 2, freedom)).mean())


def silences(design: Silence, seed: int) -> Counts:
    """Shares of runs: better by the sequence alone, promoted, flagged."""
    history = seen(design, runs=BLOCK, seed=seed)
    return np.array([history.better.any(axis=1).mean(), history.promoted.mean(), history.flagged.mean()])


def calibration(pool: ProcessPoolExecutor, runs: int, *, share: float) -> Iterator[Row]:
    """No difference, 200 looks to 2,000 users: any verdict is false."""
    for icc, ratings in product((0.0, 0.3, 0.5), (1, 4, 8)):
        design = Design(population=Population(icc=icc), shares=(share,), ratings=ratings)
        measured = in_blocks(pool, errors, design, runs=runs)
        name = f"{1 - share:.0%} to {share:.0%}, ICC {icc:.1f}, {ratings} ratings a user"
        beside = f"t-test peeked at {measured[3]:.1%}"
        yield Row(name, float(measured[0]), bound(runs), at_most=True, beside=beside)


def ramp(pool: ProcessPoolExecutor, runs: int) -> Iterator[Row]:
    """10 to 50 % half-way, while ratings of both arms drift by 0.3 stars."""
    design = Design(population=Population(icc=0.3), shares=(0.1, 0.5), ratings=4, drift=0.3)
    measured = in_blocks(pool, errors, design, runs=runs)
    yield Row("ramp 10 to 50 %, ratings drift +0.3", float(measured[0]), 0.06, at_most=True)


def power(pool: ProcessPoolExecutor, runs: int) -> Iterator[Row]:
    """The reference population, +0.3 stars, up to 400 users; every promotion passes the check of tenure too."""
    design = Design(population=REFERENCE, geometric=4.0, effect=0.3, users_per_look=2, gap=1)
    promoted, users, cuped, plain = in_blocks(pool, powers, design, runs=runs)
    yield Row("fixed horizon: 200 users with CUPED", float(cuped), 0.8, False, f"240 users without {plain:.1%}")
    yield Row("always valid: promoted by 400 users", float(promoted), 0.8, at_most=False)
    yield Row("always valid: users until then, mean", float(users), 260, at_most=True)


def hostile(pool: ProcessPoolExecutor, runs: int) -> Iterator[Row]:
    """No difference; fresh accounts give the challenger 5 and the champion 1."""
    for share in (0.0, 0.01, 0.03, 0.05):
        design = Design(population=REFERENCE, geometric=4.0, hostile_0_1=share, gap=1)
        measured = in_blocks(pool, errors, design, runs=runs)
        beside = f"without the check {measured[2]:.1%}, t-test peeked at {measured[3]:.1%}"
        yield Row(f"{share:.0%} hostile accounts: promoted", float(measured[1]), ALPHA, True, beside)


def missing(pool: ProcessPoolExecutor, runs: int) -> Iterator[Row]:
    """No difference, but half of the challenger's users who would give one or two stars keep silent."""
    for answering in (0.4, 0.7, 0.9):
        naive, promoted, flagged = in_blocks(pool, silences, Silence(answering_0_1=answering), runs=runs)
        honest = in_blocks(pool, silences, Silence(answering_0_1=answering, unhappy_0_1=1.0, effect=0.3), runs=runs)
        none = in_blocks(pool, silences, Silence(answering_0_1=answering, unhappy_0_1=1.0), runs=runs)
        name = f"{answering:.0%} answer"
        beside = f"without the bounds {naive:.1%}; a true +0.3 {honest[1]:.1%}"
        yield Row(f"{name}: promoted", float(promoted), 0.15, True, beside)
        if answering == 0.7:
            yield Row(f"{name}: flagged", float(flagged), 0.95, False, f"with nobody silenced {none[2]:.1%}")
        else:
            print(f"  {name}: flagged {flagged:.1%}, with nobody silenced {none[2]:.1%}")


def spot_check(pool: ProcessPoolExecutor, runs: int) -> Iterator[Row]:
    """The service's whole path, from users to `decide`, at looks of some of these runs."""
    del pool
    designs = (
        Design(population=Population(icc=0.3), shares=(0.2,), ratings=4),
        Design(population=Population(icc=0.3), shares=(0.1, 0.5), ratings=4, drift=0.3),
        Design(population=REFERENCE, geometric=4.0, effect=0.4, users_per_look=4, gap=1, looks=100),
        Design(population=REFERENCE, geometric=4.0, hostile_0_1=0.05, gap=1, looks=60),
    )
    alike = [decided_alike(design, runs=max(4, runs // 500), seed=3) for design in designs]
    same, looks = (sum(part) for part in zip(*alike, strict=True))
    yield Row(f"same verdict at {looks} looks", same / looks, 1.0, at_most=False)


Section = Callable[[ProcessPoolExecutor, int], Iterator[Row]]
SECTIONS: dict[str, Section] = {
    "spot-check": spot_check,
    "calibration-50": partial(calibration, share=0.5),
    "calibration-20": partial(calibration, share=0.2),
    "calibration-5": partial(calibration, share=0.05),
    "ramp": ramp,
    "power": power,
    "hostile": hostile,
    "missing": missing,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table per section; 1 if any row misses its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), default=list(SECTIONS))
    options = parser.parse_args(arguments)
    missed = 0
    with ProcessPoolExecutor(max_workers=2) as pool:
        for name in options.only:
            started = time.monotonic()
            print(f"\n{name}: {_saying(SECTIONS[name])}", flush=True)
            for row in SECTIONS[name](pool, options.runs):
                print(_line(row), flush=True)
                missed += not row.kept
            print(f"  {options.runs} runs a row, {time.monotonic() - started:.0f} s", flush=True)
    return int(missed > 0)


def _saying(section: Section) -> str:
    return (section.func if isinstance(section, partial) else section).__doc__ or ""


def _line(row: Row) -> str:
    style = ".1f" if row.limit > 1 else ".2%"
    sign = "<=" if row.at_most else ">="
    verdict = "" if row.kept else "   MISSED"
    return f"  {row.name:<48}{row.measured:>9{style}} {sign} {row.limit:{style}}{verdict}   {row.beside}"


if __name__ == "__main__":
    sys.exit(main())
