"""Experiments by the thousand: users arrive, rate, and rate again, and every look asks the service's own formulas.

All runs of a block advance together: arrays are `[run, look]`. What a look would decide comes from the functions that
the service calls, on arrays; `users_at` gives one run's users at one look, for the service's whole path.
"""
# ruff: noqa: INP001 - beside the scripts of this folder

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special
from stats_population import Grid, Population

from feedback_svc.domain.statistics.comparing import TENURED_ALPHA
from feedback_svc.domain.statistics.estimators import Difference, Side, combined, difference
from feedback_svc.domain.statistics.sequences import half_width, information_users
from feedback_svc.domain.statistics.users import DOUBT, UserMoments

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.float64]  # [run, look]
_CENTRE = 4.0  # origin of all sums
_MOST = 24  # ratings of one user; fewer than one in 700 would give more


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """One kind of experiment.

    Attributes:
        shares: The challenger's, by epoch; epochs are equal parts of the time.
        looks: Evenly spaced; as many users arrive between any two.
        users_per_look: Users that arrive before each look.
        ratings: Of each user; the first on arrival, the next each `gap` looks later.
        geometric: Numbers of ratings are geometric with that mean, all given on arrival, instead of `ratings`.
        effect: Of the challenger, in stars.
        drift: Of both arms in the last epoch, in stars.
        hostile_0_1: Share of accounts, all fresh, that rate the challenger 5 and the champion 1.
    """

    population: Population = field(default_factory=Population)
    shares: tuple[float, ...] = (0.5,)
    looks: int = 200
    users_per_look: int = 10
    ratings: int = 1
    gap: int = 7
    geometric: float = 0.0
    effect: float = 0.0
    drift: float = 0.0
    hostile_0_1: float = 0.0
    planned_users: int = 100  # as `Plan.tightest_users` of 200
    min_users: int = 50
    alpha: float = 0.05


class Runs:
    """A block of experiments of one design: who came, what was rated when, and what every look sees."""

    def __init__(self, design: Design, *, runs: int, seed: int) -> None:
        self.design = design
        chance = np.random.default_rng(seed)
        size = (runs, design.looks, design.users_per_look)
        tastes = chance.standard_normal(size, dtype=np.float32)
        self.place = chance.random(size, dtype=np.float32)  # of the assignment hash
        self.hostile: Flags = chance.random(size, dtype=np.float32) < design.hostile_0_1
        fresh = chance.random(size, dtype=np.float32) < design.population.fresh_0_1
        self.tenured: Flags = ~(fresh | self.hostile)
        self.before, self.before_numbers = self._means(chance, tastes, 3)
        self.latents = design.population.latents(chance, tastes, _MOST if design.geometric else design.ratings)
        self.numbers = self._numbers(chance, size, design.ratings)
        self._stars: dict[int, Grid] = {}
        given = 1 if design.geometric else design.ratings
        at = np.arange(design.looks)[:, None] + design.gap * np.arange(given)[None, :]
        self.epochs = np.minimum(at * len(design.shares) // design.looks, len(design.shares) - 1)  # [arrival, rating]

    def _numbers(self, chance: np.random.Generator, size: tuple[int, ...], fixed: int) -> Grid:
        if not self.design.geometric:
            return np.full(size, fixed, dtype=np.float32)
        return np.minimum(chance.geometric(1 / self.design.geometric, size), _MOST).astype(np.float32)

    def _means(self, chance: np.random.Generator, tastes: Grid, fixed: int) -> tuple[Grid, Grid]:
        """Means of ratings given at once, and how many there were."""
        numbers = self._numbers(chance, tastes.shape, fixed)
        population = self.design.population
        stars = population.stars(population.latents(chance, tastes, int(numbers.max())))
        return _mean_of_first(stars, numbers), numbers

    def candidates(self, epoch: int) -> Flags:
        """Users whom the challenger's share covers: ramping up moves nobody back."""
        return self.place < np.float32(self.design.shares[epoch])

    def stars(self, epoch: int) -> Grid:
        """Ratings as they would be given in that epoch, `[run, arrival, user, rating]`."""
        if epoch not in self._stars:
            self._stars[epoch] = self._rated(epoch)
        return self._stars[epoch]

    def _rated(self, epoch: int) -> Grid:
        design, population = self.design, self.design.population
        candidates = self.candidates(epoch)
        shifted = self.latents
        if design.effect:
            shifted = shifted + (candidates * np.float32(population.shift_for(design.effect)))[..., None]
        if design.drift and epoch == len(design.shares) - 1:
            shifted = shifted + np.float32(population.shift_for(design.drift))
        stars = population.stars(shifted)
        if design.hostile_0_1:
            stars = np.where(self.hostile[..., None], np.where(candidates, 5.0, 1.0)[..., None], stars)
        return stars.astype(np.float32)

    def counted(self, stars: Grid, power: int) -> Grid:
        """Sums of ratings, or of their squares, by the times at which they are given, `[run, arrival, user, time]`."""
        if not self.design.geometric:
            return stars**power
        kept = np.arange(stars.shape[-1], dtype=np.float32) < self.numbers[..., None]
        return (stars**power * kept).sum(axis=-1, keepdims=True)

    def sides(self, epoch: int) -> dict[str, tuple[Side, Side]]:
        """Champion's and challenger's sums at every look, of all users and of those with a past."""
        inside = self.epochs == epoch
        counts = np.cumsum(inside, axis=1)
        totals = self.counted(self.stars(epoch), 1)
        if self.design.geometric:
            totals = totals / self.numbers[..., None]
        means = np.cumsum(totals * inside[None, :, None, :], axis=3) / np.maximum(counts, 1)[None, :, None, :]
        y = np.where((counts > 0)[None, :, None, :], means - np.float32(_CENTRE), 0.0).astype(np.float32)
        change = np.diff(y, axis=3, prepend=np.float32(0.0))
        change_of_squares = np.diff(y**2, axis=3, prepend=np.float32(0.0))
        first = inside & (counts == 1)
        candidates = self.candidates(epoch)
        pairs = [self._side(mask, first, (change, change_of_squares)) for mask in (~candidates, candidates)]
        return {name: (pairs[0][name], pairs[1][name]) for name in ("all", "tenured")}

    def rating_variance(self) -> Rows:
        """Of all single ratings up to every look, whoever gave them."""
        sums = np.zeros((3, self.place.shape[0], self.design.looks))
        for epoch in range(len(self.design.shares)):
            inside = (self.epochs == epoch).astype(np.float32)
            stars = self.stars(epoch) - np.float32(_CENTRE)
            for power in range(3):
                sums[power] += self._by_look(self.counted(stars, power).sum(axis=2) * inside)
        number, total, squares = sums
        return (squares - total**2 / number) / (number - 1)

    def _side(self, mask: Flags, first: Flags, changes: tuple[Grid, Grid]) -> dict[str, Side]:
        entering = first[None].astype(np.float32)  # [1, arrival, rating]

        def over_users(weights: Grid | Flags, values: Grid) -> Rows:
            return self._by_look(np.einsum("rau,rauk->rak", weights.astype(np.float32), values, optimize=False))

        def on_entry(values: Grid | Flags) -> Rows:
            return self._by_look(values.sum(axis=2, dtype=np.float32)[..., None] * entering)

        past = mask & self.tenured
        trust = np.where(past, self.before_numbers / (self.before_numbers + np.float32(DOUBT)), 0.0).astype(np.float32)
        x = trust * (self.before - np.float32(_CENTRE))
        shared = {
            "trust": on_entry(trust), "trust_squares": on_entry(trust**2), "trust_y": over_users(trust, changes[0]),
            "trust_x": on_entry(trust * x), "x": on_entry(x), "xx": on_entry(x**2), "xy": over_users(x, changes[0]),
        }  # fmt: skip
        sides = {
            name: (on_entry(part), over_users(part, changes[0]), over_users(part, changes[1]))
            for name, part in (("all", mask), ("tenured", past))
        }
        return {name: Side(users=users, y=y, yy=yy, **shared) for name, (users, y, yy) in sides.items()}

    def _by_look(self, changes: Grid) -> Rows:
        """Puts what the rating of each rank changed at the look of its arrival, and adds up."""
        looks, gap = self.design.looks, self.design.gap
        out = np.zeros(changes.shape[:2])
        for rank in range(changes.shape[2]):
            late = rank * gap
            if late < looks:
                out[:, late:] += changes[:, : looks - late, rank]
        return np.cumsum(out, axis=1)

    def users_at(self, run: int, look: int) -> dict[tuple[int, bool], list[UserMoments]]:
        """What the service would hold after that look: users by (epoch, whether in the challenger's arm)."""
        users: dict[tuple[int, bool], list[UserMoments]] = {}
        for epoch in range(len(self.design.shares)):
            totals, squares = (self.counted(self.stars(epoch), power)[run] for power in (1, 2))
            candidates = self.candidates(epoch)[run]
            for arrival, user in np.ndindex(look + 1, self.design.users_per_look):
                given = self.epochs[arrival] == epoch
                given[(look - arrival) // self.design.gap + 1 :] = False
                place = (run, arrival, user)
                known = UserMoments(
                    ratings=int(self.numbers[place]) if self.design.geometric else int(given.sum()),
                    total=float(totals[arrival, user][given].sum()),
                    squares=float(squares[arrival, user][given].sum()),
                    before=float(self.before[place]) if self.tenured[place] else None,
                    before_ratings=int(self.before_numbers[place]),
                )
                users.setdefault((epoch, bool(candidates[arrival, user])), []).append(known)
        return users


def _mean_of_first(stars: Grid, numbers: Grid) -> Grid:
    kept = np.arange(stars.shape[-1], dtype=np.float32) < numbers[..., None]
    return (stars * kept).sum(axis=-1) / numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What every look of a block sees: `[run, look]`, but for the users, which are expected ones."""

    effect: Rows
    std_error: Rows
    width: Rows
    tenured_lower: Rows
    plain: Difference
    enough: Flags

    @property
    def better(self) -> Flags:
        return self.enough & (self.effect > self.width)

    @property
    def worse(self) -> Flags:
        return self.enough & (-self.effect > self.width)

    @property
    def promoted(self) -> Flags:
        """Better, and those with a past agree."""
        return self.better & (self.tenured_lower > 0)

    def peeked_t_test(self, *, alpha: float, least: int = 10) -> Flags:
        """Where a t-test at this look alone finds a difference."""
        with np.errstate(all="ignore"):
            freedom = self.plain.degrees_of_freedom
            p = 2 * special.stdtr(freedom, -np.abs(self.plain.effect) / np.sqrt(self.plain.variance))
        return (p < alpha) & (np.minimum(self.plain.champion_users, self.plain.candidate_users) >= least)


def looks_of(runs: Runs) -> Looks:
    """Asks the service's formulas at every look of every run."""
    design = runs.design
    parts = [runs.sides(epoch) for epoch in range(len(design.shares))]
    with np.errstate(all="ignore"):
        whole = combined([difference(*part["all"], adjusted=True) for part in parts])
        plain = combined([difference(*part["all"], adjusted=False) for part in parts])
        tenured = combined([difference(*part["tenured"], adjusted=True) for part in parts])
        std_error = np.sqrt(whole.variance)
        ratings = runs.rating_variance()
        users = information_users(whole.variance, ratings)
        width = half_width(std_error, users, planned_users=design.planned_users, alpha=design.alpha)
        tenured_width = half_width(
            np.sqrt(tenured.variance),
            information_users(tenured.variance, ratings),
            planned_users=design.planned_users,
            alpha=TENURED_ALPHA,
        )
        return Looks(
            effect=np.asarray(whole.effect),
            std_error=np.asarray(std_error),
            width=np.asarray(width),
            tenured_lower=np.asarray(tenured.effect - tenured_width),
            plain=plain,
            enough=np.minimum(whole.champion_users, whole.candidate_users) >= design.min_users,
        )
