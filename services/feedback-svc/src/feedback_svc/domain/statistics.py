"""Sufficient statistics of an experiment: what is kept per user and per arm, and how a rating changes it.

The user is the unit of analysis. An arm is summed up over its users' mean ratings: one account, one vote.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class UserStatistics:
    """Ratings of one unit in one arm that count."""

    ratings: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.ratings

    def with_rating(self, value: float, *, replaced: float | None = None) -> "UserStatistics":
        """Takes a rating in, in place of an earlier one of the same rater if there is one."""
        if replaced is None:
            return UserStatistics(ratings=self.ratings + 1, total=self.total + value)
        return UserStatistics(ratings=self.ratings, total=self.total - replaced + value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStatistics:
    """One side of an experiment.

    Attributes:
        units: Units that were assigned to it and seen, rated or not.
        users: Units with ratings that count.
        ratings: Ratings that count.
        origin: Mean of the first user; sums are taken around it, for differences of large sums lose digits.
        total: Sum over users of (mean rating - origin).
        squares: Sum over users of its square.
    """

    units: int = 0
    users: int = 0
    ratings: int = 0
    origin: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float | None:
        """Mean of the users' means; None without users."""
        return self.origin + self.total / self.users if self.users else None

    @property
    def variance(self) -> float | None:
        """Sample variance of the users' means; None below two users."""
        if self.users < 2:
            return None
        return max(0.0, (self.squares - self.total**2 / self.users) / (self.users - 1))

    def with_unit(self) -> "ArmStatistics":
        return replace(self, units=self.units + 1)

    def with_user(self, before: UserStatistics, after: UserStatistics) -> "ArmStatistics":
        """Replaces what one user contributed; `before` has no ratings if the user is new."""
        new = before.ratings == 0
        origin = after.mean if self.users == 0 else self.origin
        old = 0.0 if new else before.mean - origin
        now = after.mean - origin
        return replace(
            self,
            users=self.users + new,
            ratings=self.ratings + after.ratings - before.ratings,
            origin=origin,
            total=self.total - old + now,
            squares=self.squares - old**2 + now**2,
        )


def arm_of(users: Collection[UserStatistics], *, units: int) -> ArmStatistics:
    """The same from all users at once, without the rounding that one step after the other gathers."""
    rated = [user for user in users if user.ratings]
    if not rated:
        return ArmStatistics(units=units)
    origin = rated[0].mean
    return ArmStatistics(
        units=units,
        users=len(rated),
        ratings=sum(user.ratings for user in rated),
        origin=origin,
        total=math.fsum(user.mean - origin for user in rated),
        squares=math.fsum((user.mean - origin) ** 2 for user in rated),
    )
