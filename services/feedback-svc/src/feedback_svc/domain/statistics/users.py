"""What one user's ratings amount to within one arm and one epoch of an experiment."""

from dataclasses import dataclass, replace

DOUBT = 2.0  # ratings that are as good as the mean of all users, (1 - ICC) / ICC


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMoments:
    """Ratings of one user that count, within one arm and one epoch.

    Attributes:
        ratings: How many.
        total: Their sum.
        squares: Sum of their squares.
        before: Mean of the user's ratings of the same metric before the first exposure; None for a fresh account.
        before_ratings: How many those were.
    """

    ratings: int = 0
    total: float = 0.0
    squares: float = 0.0
    before: float | None = None
    before_ratings: int = 1

    @property
    def trust_0_1(self) -> float:
        """How much a past of so many ratings says of the user: reliability of their mean at an ICC of 1/3."""
        return self.before_ratings / (self.before_ratings + DOUBT)

    @property
    def mean(self) -> float:
        return self.total / self.ratings

    def with_rating(self, value: float, *, replaced: float | None = None) -> "UserMoments":
        """Takes a rating in, in place of an earlier one of the same rater if there is one."""
        old = 0.0 if replaced is None else replaced
        return replace(
            self,
            ratings=self.ratings + (replaced is None),
            total=self.total - old + value,
            squares=self.squares - old**2 + value**2,
        )

    def without_rating(self, value: float) -> "UserMoments":
        """Takes a rating out again, as if it had never been given."""
        left = self.ratings - 1
        if left == 0:
            return UserMoments(before=self.before, before_ratings=self.before_ratings)
        return replace(self, ratings=left, total=self.total - value, squares=self.squares - value**2)

    def merged(self, other: "UserMoments") -> "UserMoments":
        """With the ratings of the same user that were counted elsewhere."""
        past = self if self.before is not None else other
        return UserMoments(
            ratings=self.ratings + other.ratings,
            total=self.total + other.total,
            squares=self.squares + other.squares,
            before=past.before,
            before_ratings=past.before_ratings,
        )
