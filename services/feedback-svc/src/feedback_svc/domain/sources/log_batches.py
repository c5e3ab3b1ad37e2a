"""Batches of logs: lines and passages that an expert labelled, or whose analysis somebody corrected."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, Field, JsonValue, ValidationError, field_validator

from feedback_svc.domain.sources.source import Filtered, Group, Heard, Origin, Outcome, Source, Teaching, Text
from feedback_svc.domain.spelling import spell
from feedback_svc.domain.subjects import inferences_in, subjects_of
from loopwright.contracts.base import Identifier, Value
from loopwright.contracts.schedules import CronSchedule
from loopwright.contracts.tasks import SourcePolicy

Aspect = Literal["sentiment", "anomaly", "summary"]
_ALARMS: dict[object, str] = {
    True: "alert",
    False: "normal",
    "anomaly": "alert",
    "abnormal": "alert",
    "critical": "alert",
}


class Judgement(Value):
    """What is right, as far as it is said."""

    sentiment: Literal["positive", "neutral", "negative"] | None = Field(default=None, description="how it reads")
    anomaly: Literal["normal", "alert"] | None = Field(
        default=None,
        validation_alias=AliasChoices("anomaly", "anomaly_status"),
        description="whether it is an alert; true and false, anomaly, abnormal and critical are understood",
    )
    summary: Text | None = Field(default=None, description="what happened")

    @field_validator("anomaly", mode="before")
    @classmethod
    def _understood(cls, value: object) -> object:
        return _ALARMS.get(value, value) if isinstance(value, bool | str) else value


class LogEntry(Value):
    """A record of a batch, as far as it can be learned from."""

    message: Text = Field(
        validation_alias=AliasChoices("message", "line", "log", "text"), description="what was logged"
    )
    expert: Judgement | None = Field(
        default=None, validation_alias=AliasChoices("expert_label", "expert"), description="an expert's label"
    )
    corrected: Judgement | None = Field(
        default=None, validation_alias=AliasChoices("corrected_analysis", "corrected"),
        description="an analysis as somebody corrected it",
    )  # fmt: skip
    rater: Identifier | None = Field(default=None, description="keyed hash of who judged")


class Options(Value):
    """What a task may say of it."""

    aspect: Aspect = Field(description="what the task answers")
    types: tuple[Identifier, ...] = Field(default=(), max_length=100, description="types of log; empty: all")


def tasks_reading(log_type: str, declared: Mapping[str, Sequence[SourcePolicy]]) -> list[str]:
    """Tasks that learn from logs of a type whether they are anomalies, sorted.

    Args:
        declared: Sources of every task.
    """
    return sorted(
        task_id
        for task_id, policies in declared.items()
        for policy in policies
        if policy.enabled and policy.source == LOG_BATCHES.name and _reads(policy, log_type)
    )


def _reads(policy: SourcePolicy, log_type: str) -> bool:
    try:
        options = Options.model_validate(policy.options)
    except ValidationError:
        return False
    return options.aspect == "anomaly" and (not options.types or log_type in options.types)


def teach(group: Group, options: Value, now: datetime) -> Iterator[Outcome]:  # noqa: ARG001 - every source is told the time
    assert isinstance(options, Options)
    for one in group.heard:
        wanted = not options.types or one.kind in options.types
        for number, record in enumerate(one.batch):
            key = f"{one.record_id}:{number}"
            if record is not None:
                yield _entry(key, record, one, options.aspect) if wanted else Filtered(key=key, reason="other-type")


def _entry(key: str, record: JsonValue, batch: Heard, aspect: Aspect) -> Outcome:
    try:
        entry = LogEntry.model_validate(record)
    except (ValidationError, RecursionError):
        return Filtered(key=key, reason="refused" if _is_judged(record) else "unlabelled")
    judged = next((one for one in (entry.expert, entry.corrected) if one and getattr(one, aspect) is not None), None)
    if judged is None:
        return Filtered(key=key, reason="unlabelled")
    return Teaching(
        key=key, input=entry.message, answer=_answer(judged, aspect), rater=entry.rater,
        origin=Origin((f"{batch.kind}/{key}",), subjects_of(record), inferences_in(record)),
        metadata={"log_type": batch.kind, "judged_by": "expert" if judged is entry.expert else "correction"},
    )  # fmt: skip


def _is_judged(record: JsonValue) -> bool:
    names = {"expert_label", "expert", "corrected_analysis", "corrected"}
    return isinstance(record, dict) and not names.isdisjoint(record)


def _answer(judged: Judgement, aspect: Aspect) -> str:
    match aspect:
        case "sentiment":
            return spell({"sentiment": judged.sentiment})
        case "anomaly":
            return spell({"anomaly_status": judged.anomaly})
        case "summary":
            return judged.summary or ""


LOG_BATCHES = Source(
    name="log-batches",
    title="log records with an expert's label or a corrected analysis",
    schemas={},
    options=Options,
    collect=CronSchedule(cron="0 1 * * *"),
    teach=teach,
)
