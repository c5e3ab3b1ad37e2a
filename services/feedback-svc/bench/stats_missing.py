"""Experiments in which not everybody rates: both arms equally good, but unhappy users of one of them keep silent."""
# ruff: noqa: INP001 - beside the scripts of this folder

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special
from stats_population import STARS, Population

from feedback_svc.domain.statistics.estimators import Difference, Side, difference
from feedback_svc.domain.statistics.nonresponse import BOUND_Z, CAUTION_P, lee_bounds, response_z
from feedback_svc.domain.statistics.sequences import half_width, information_users

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One kind of experiment.

    Attributes:
        answering_0_1: Share of users who rate.
        unhappy_0_1: What is left of that share among the challenger's users who would give one or two stars.
        raters: Rated users in both arms at which it ends, about.
    """

    population: Population = field(default_factory=Population)
    answering_0_1: float = 0.6
    unhappy_0_1: float = 0.5
    effect: float = 0.0
    looks: int = 200
    raters: int = 2000
    planned_users: int = 100
    alpha: float = 0.05
    min_users: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """By `[run, look]`: better by the sequence, held back for those who do not answer, response rates apart."""

    better: Flags
    held_back: Flags
    breached: Flags
    differs: Flags

    @property
    def promoted(self) -> npt.NDArray[np.bool_]:
        """Runs that end in a promotion, `[run]`."""
        return (self.better & ~self.held_back).any(axis=1)

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        """Runs whose people are told, up to the look that ends it, that the missing may have made the difference."""
        looks = self.better.shape[1]
        clear = self.better & ~self.held_back
        end = np.where(clear.any(axis=1), clear.argmax(axis=1), looks - 1)
        told = self.breached | (self.better & self.held_back)
        before_end = np.arange(looks) <= end[:, None]
        return (told & before_end).any(axis=1) | self.differs[np.arange(len(end)), end]


def seen(design: Silence, *, runs: int, seed: int) -> Seen:
    """Asks the service's formulas at every look of every run."""
    units, histograms = _histories(design, runs=runs, seed=seed)
    with np.errstate(all="ignore"):
        sides = [_side(histogram) for histogram in histograms]
        effect = difference(*sides, adjusted=False)
        ratings = _variance(histograms[0] + histograms[1])
        terms = {"planned_users": design.planned_users, "alpha": design.alpha}
        width = half_width(np.sqrt(effect.variance), information_users(effect.variance, ratings), **terms)
        answers = _answers(units, sides)
        z = response_z(answers.effect, answers.variance)
        bounds = lee_bounds(histograms[0], histograms[1], STARS, units=(units[0], units[1]))
        region_lower = bounds.lower - BOUND_Z * np.sqrt(bounds.lower_error)
        enough = np.minimum(sides[0].users, sides[1].users) >= design.min_users
        return Seen(
            better=enough & (effect.effect > width),
            held_back=~(region_lower > 0),
            differs=2 * special.ndtr(-np.abs(z)) < CAUTION_P,
            breached=np.abs(answers.effect) > half_width(np.sqrt(answers.variance), answers.users, **terms),
        )


def _histories(design: Silence, *, runs: int, seed: int) -> tuple[list[Rows], list[Rows]]:
    """Units `[run, look]` and users by stars `[run, look, star]` of champion and challenger."""
    chance = np.random.default_rng(seed)
    per_look = round(design.raters / design.answering_0_1 / design.looks)
    size = (runs, design.looks, per_look)
    population = design.population
    candidates = chance.random(size, dtype=np.float32) < 0.5
    shift = np.float32(population.shift_for(design.effect) if design.effect else 0.0)
    latents = population.latents(chance, chance.standard_normal(size, dtype=np.float32), 1)[..., 0]
    stars = population.stars(latents + candidates * shift)
    answering = np.where(candidates & (stars <= 2), design.unhappy_0_1, 1.0) * design.answering_0_1
    answered = chance.random(size, dtype=np.float32) < answering
    arms = (~candidates, candidates)
    units = [np.cumsum(arm.sum(axis=2), axis=1).astype(float) for arm in arms]
    counts = [np.stack([(arm & answered & (stars == star)).sum(axis=2) for star in STARS], axis=-1) for arm in arms]
    return units, [np.cumsum(count, axis=1).astype(float) for count in counts]


def _side(histogram: Rows) -> Side:
    values = STARS - 4
    return Side(users=histogram.sum(axis=-1), y=histogram @ values, yy=histogram @ values**2)


def _variance(histogram: Rows) -> Rows:
    users = histogram.sum(axis=-1)
    return (histogram @ STARS**2 - (histogram @ STARS) ** 2 / users) / (users - 1)


def _answers(units: list[Rows], sides: list[Side]) -> Difference:
    rates = [side.users / of for side, of in zip(sides, units, strict=True)]
    errors = [rate * (1 - rate) / (of - 1) for rate, of in zip(rates, units, strict=True)]
    return Difference(
        effect=rates[1] - rates[0],
        champion_error=errors[0],
        candidate_error=errors[1],
        champion_users=units[0],
        candidate_users=units[1],
    )
