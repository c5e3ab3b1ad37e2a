"""What the rating API takes and gives."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from loopwright.contracts.base import Identifier, Storable
from router_svc.domain.ratings import value_problem
from router_svc.handlers.rating import RatingDraft


class Rating(BaseModel):
    """What somebody, or some checker, says of one answer."""

    model_config = ConfigDict(extra="forbid")

    inference_id: str = Field(min_length=1, max_length=200, description="`id` of the answer")
    metric: Identifier = Field(default="stars", description="`stars` (1 to 5), `thumb` (0 or 1) or a named metric")
    value: bool | Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="judgement on the metric's scale; true is 1 and false 0, but for stars"
    )
    comment: Storable | None = Field(default=None, max_length=10_000, description="in the rater's words")
    correction: Storable | None = Field(
        default=None, max_length=100_000, description="the answer as it should have been"
    )
    rater: str | None = Field(
        default=None, min_length=1, max_length=500, description="who judged; stored only as a keyed hash"
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.value is None and self.comment is None and self.correction is None:
            raise ValueError("a rating has a value, a comment or a correction")
        problem = None if self.value is None else value_problem(self.metric, self.value)
        if problem is not None:
            raise ValueError(problem)
        return self

    def draft(self) -> RatingDraft:
        return RatingDraft(
            inference_id=self.inference_id,
            metric=self.metric,
            value=None if self.value is None else float(self.value),
            comment=self.comment,
            correction=self.correction,
            rater=self.rater,
        )


class RatingBatch(BaseModel):
    """Several ratings, taken together or not at all."""

    model_config = ConfigDict(extra="forbid")

    ratings: tuple[Rating, ...] = Field(min_length=1, max_length=1000, description="the ratings")


def _form(body: object) -> str:
    is_batch = "ratings" in body if isinstance(body, dict) else isinstance(body, RatingBatch)
    return "batch" if is_batch else "single"


RatingBody = Annotated[Annotated[Rating, Tag("single")] | Annotated[RatingBatch, Tag("batch")], Discriminator(_form)]


class AcceptedRating(BaseModel):
    """A rating that is on record."""

    rating_id: str = Field(description="id that the platform knows it by")
    inference_id: str = Field(description="what was rated")
    task_id: str = Field(description="task that it counts for")


class AcceptedRatings(BaseModel):
    """In the order in which they came."""

    items: tuple[AcceptedRating, ...]
    total: int
