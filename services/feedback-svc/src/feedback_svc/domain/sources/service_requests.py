"""Resolved requests of a service desk: what was asked for, how it was resolved, and which desk took it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AliasChoices, AwareDatetime, Field

from feedback_svc.domain.sources.source import (
    Filtered,
    Group,
    Name,
    Outcome,
    RecordSchema,
    Source,
    Teaching,
    Text,
    origin_in,
)
from feedback_svc.domain.spelling import spell
from loopwright.contracts.base import Storable, Value

_LOOK_BACK = timedelta(days=30)
_DONE = frozenset({"resolved", "closed", "done"})


class ResolvedRequest(RecordSchema):
    """A request that somebody resolved."""

    title: Annotated[Storable, Field(max_length=1000)] = Field(default="", description="in a line")
    description: Text = Field(validation_alias=AliasChoices("description", "question"), description="in full")
    resolution: Text = Field(description="what resolved it, as the customer was told")
    category: Name | None = Field(default=None, description="which desk took it")
    status: str = Field(default="resolved", max_length=100, description="resolved, closed or done")
    resolved_at: AwareDatetime | None = Field(default=None, description="when; none: when it was published")

    @property
    def asked(self) -> str:
        title = self.title.strip()
        return f"{title}\n\n{self.description}" if title else self.description


class Options(Value):
    """What a task may say of it."""

    answer: Literal["text", "json"] = Field(
        default="text", description="text: the resolution; json: `category` and `reply`, as the task's schema wants"
    )
    categories: dict[str, str] = Field(
        default_factory=dict[str, str], max_length=200,
        description="the desk's names of categories to the task's; with json, others teach nothing if any is given",
    )  # fmt: skip


def teach(group: Group, options: Value, now: datetime) -> Iterator[Outcome]:
    assert isinstance(options, Options)
    for one in group.heard:
        assert isinstance(one.said, ResolvedRequest)
        answer, category = _answer(one.said, options)
        reason = _why_not(one.said, answer, now - (one.said.resolved_at or one.published_at))
        if reason is not None:
            yield Filtered(key=group.key, reason=reason)
            continue
        yield Teaching(
            key=group.key, input=one.said.asked, answer=answer, origin=origin_in([one]),
            metadata={} if category is None else {"category": category},
        )  # fmt: skip


def _answer(said: ResolvedRequest, options: Options) -> tuple[str, str | None]:
    """What is learned, empty if the task has no such category; and the category by the task's name."""
    category = said.category
    if category is not None and options.categories:
        category = options.categories.get(category)
    if options.answer == "text":
        return said.resolution, category
    return (spell({"category": category, "reply": said.resolution}), category) if category else ("", category)


def _why_not(said: ResolvedRequest, answer: str, age: timedelta) -> str | None:
    if said.status.strip().lower() not in _DONE:
        return "not-resolved"
    if age > _LOOK_BACK:
        return "too-old"
    return None if answer else "category-unknown"


SERVICE_REQUESTS = Source(
    name="service-requests",
    title="requests of a service desk that were resolved in the last 30 days",
    schemas={"service-desk.resolved": ResolvedRequest},
    options=Options,
    teach=teach,
)
