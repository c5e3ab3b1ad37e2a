"""What a source is: schemas of the kinds of records that it reads, and a function from records to what they teach."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from loopwright.contracts.base import Identifier, JsonObject, Value, storable
from loopwright.contracts.schedules import CronSchedule

Text = Annotated[
    str, StringConstraints(min_length=1, max_length=20_000, strip_whitespace=True), AfterValidator(storable)
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(storable)]


class RecordSchema(Value):
    """What a record of one kind must say; whatever else it says is nobody's business."""

    unit_hash: Identifier | None = Field(default=None, description="keyed hash of the person whom it is of")
    inference_id: Identifier | None = Field(default=None, description="answer of the platform that it is about")

    def group_of(self, record_id: str) -> str:
        """What it is about: records of one group are read together."""
        return record_id

    @property
    def claim(self) -> tuple[str, str] | None:
        """Who says what where several may disagree: (rater, statement)."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A record that fits its schema; of logs, a batch.

    Attributes:
        said: What it says; None for a batch of logs.
        batch: The records of a batch of logs; an erased one is None.
        subjects: Persons and inferences that it names.
        inferences: Those of them that are inferences.
    """

    kind: str
    record_id: str
    published_at: datetime
    said: RecordSchema | None = None
    batch: tuple[JsonValue, ...] = ()
    subjects: frozenset[str] = frozenset()
    inferences: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Origin:
    """What a teaching was made of.

    Attributes:
        records: Names of the records.
        subjects, inferences: As of `Heard`.
    """

    records: tuple[str, ...]
    subjects: frozenset[str] = frozenset()
    inferences: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Everything that was heard of one thing.

    Attributes:
        inputs: What was asked, by inference that a record is about.
        reliability_0_1: How often each rater agrees with others; who is not in it is unknown.
    """

    key: str
    heard: tuple[Heard, ...]
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    reliability_0_1: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """What a group teaches.

    Attributes:
        key: Names it within its source; another teaching under the same key takes its place.
        rater: Whose judgement it rests on, if the record says.
    """

    key: str
    input: str
    answer: str
    origin: Origin
    rater: str | None = None
    weight_0_1: float = 1.0
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """What a group does not teach, and why, as a stable code."""

    key: str
    reason: str


Outcome = Teaching | Filtered


class NoOptions(Value):
    """Options of a source that has none."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source of upstream records.

    Attributes:
        schemas: Schema of each kind of record; empty for logs, whose kinds the apps choose.
        teach: What a group teaches; takes options of the declared class and the time.
        collect: When its records become samples; None: as they come.
    """

    name: str
    title: str
    schemas: Mapping[str, type[RecordSchema]]
    teach: Callable[[Group, Value, datetime], Iterable[Outcome]]
    options: type[Value] = NoOptions
    collect: CronSchedule | None = None

    def read_options(self, options: JsonObject) -> Value:
        """Options as a task declares them.

        Raises:
            ValidationError: the source has no such options.
        """
        return self.options.model_validate(options, extra="forbid")


def origin_in(heard: Iterable[Heard]) -> Origin:
    """Records that something is taught by."""
    records = tuple(heard)
    return Origin(
        tuple(f"{one.kind}/{one.record_id}" for one in records),
        frozenset[str]().union(*(one.subjects for one in records)),
        frozenset[str]().union(*(one.inferences for one in records)),
    )
