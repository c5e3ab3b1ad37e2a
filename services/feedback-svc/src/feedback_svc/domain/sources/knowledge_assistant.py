"""Feedback of a knowledge assistant: an answer that its reader rated well."""

from collections.abc import Iterator
from datetime import datetime

from pydantic import Field

from feedback_svc.domain.sources.source import Filtered, Group, Outcome, RecordSchema, Source, Teaching, Text, origin_in
from loopwright.contracts.base import Identifier, Value


class RatedAnswer(RecordSchema):
    """A question, the assistant's answer, and how its reader liked it."""

    query: Text = Field(description="what was asked")
    answer: Text = Field(description="what the assistant answered")
    rating: float = Field(ge=1, le=5, allow_inf_nan=False, description="stars")
    rater: Identifier | None = Field(default=None, description="keyed hash of who rated")


class Options(Value):
    """What a task may say of it."""

    min_rating: float = Field(default=4, ge=1, le=5, description="a rating from here on teaches")


def teach(group: Group, options: Value, now: datetime) -> Iterator[Outcome]:  # noqa: ARG001 - every source is told the time
    assert isinstance(options, Options)
    for one in group.heard:
        assert isinstance(one.said, RatedAnswer)
        if one.said.rating < options.min_rating:
            yield Filtered(key=group.key, reason="rated-too-low")
            continue
        yield Teaching(
            key=group.key, input=one.said.query, answer=one.said.answer, origin=origin_in([one]),
            rater=one.said.rater, weight_0_1=one.said.rating / 5, metadata={"rating": f"{one.said.rating:g}"},
        )  # fmt: skip


KNOWLEDGE_ASSISTANT = Source(
    name="knowledge-assistant",
    title="answers of a knowledge assistant that were rated well",
    schemas={"knowledge.rated": RatedAnswer},
    options=Options,
    teach=teach,
)
