"""What upstream apps send, and what people are called for."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from loopwright.contracts.base import Event, Identifier, JsonObject, Moment


class LogReceived(Event):
    """A batch of log records from an upstream app, in the shape that such apps already send."""

    type: Identifier = Field(description="kind of log")
    timestamp: AwareDatetime = Field(description="when the batch was made")
    count: int = Field(ge=0, description="records in `data`")
    data: tuple[JsonObject, ...] = Field(max_length=10_000, description="the records")


class FeedbackReceived(Event):
    """One record of feedback from an upstream app: a resolved ticket, a verified repair, a corrected label."""

    record_id: Identifier = Field(description="id of the record in its source")
    kind: Identifier = Field(description="what kind of record, which says its schema")
    record: JsonObject = Field(description="the record")
    received_at: Moment = Field(description="when the source published it")
    unit_hash: Identifier | None = Field(
        default=None,
        description="keyed hash of the person whom the record is of; a `unit_hash` or `inference_id` in it says as much",
    )


class Severity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertRaised(Event):
    """Something needs a person."""

    alert_id: Identifier = Field(description="alert")
    severity: Severity = Field(description="how soon")
    kind: Identifier = Field(description="what, as a stable code")
    task_id: Identifier | None = Field(default=None, description="task it concerns")
    detail: str = Field(description="one sentence for a person")
    raised_at: Moment = Field(description="when")
