"""Evidence of incidents: the coordinator's reasoning and the executed repair, where a check says that they worked.

The three records of one incident come in any order; nothing is taught before all of them are there.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple, TypeVar

from pydantic import AliasChoices, AwareDatetime, Field

from feedback_svc.domain.sources.source import (
    Filtered,
    Group,
    Heard,
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

_LOOK_BACK = timedelta(days=7)
_DEFAULT_SCHEMA_VERSION = "1"


class _OfIncident(RecordSchema):
    incident_id: Name = Field(description="incident that it is about")

    def group_of(self, record_id: str) -> str:  # noqa: ARG002 - others are named by their record
        return self.incident_id


class Reasoning(_OfIncident):
    """What the coordinator made of an alert."""

    alert_name: Name = Field(description="alert that began it")
    evidence: Text = Field(
        validation_alias=AliasChoices("evidence", "description", "symptoms"), description="what was seen"
    )
    reasoning: Text = Field(description="likely cause, and why")
    risk: Literal["low", "medium", "high"] | None = Field(default=None, description="what the repair could break")


class Repair(_OfIncident):
    """What was done."""

    playbook: Name = Field(description="playbook that was run")
    steps: Annotated[tuple[Text, ...], Field(min_length=1, max_length=50)] = Field(description="in their order")
    executed: bool = Field(default=True, description="whether it was carried out, and not only proposed")


class Verification(_OfIncident):
    """Whether it helped."""

    verification_result: Name = Field(description="success, or anything else")
    summary: Annotated[Storable, Field(max_length=20_000)] = Field(default="", description="what the check found")
    collected_at: AwareDatetime | None = Field(default=None, description="when; none: when it was published")
    schema_version: Name = Field(default=_DEFAULT_SCHEMA_VERSION, description="of the evidence")


class Options(Value):
    """What a task may say of it."""

    answer: Literal["text", "json"] = Field(
        default="text", description="text: reasoning, repair and result; json: `cause`, `steps` and `risk`"
    )


S = TypeVar("S", bound=_OfIncident)


class _Parts(NamedTuple):
    reasoning: tuple[Heard, Reasoning] | None
    repair: tuple[Heard, Repair] | None
    check: tuple[Heard, Verification] | None


def teach(group: Group, options: Value, now: datetime) -> Iterator[Outcome]:
    assert isinstance(options, Options)
    parts = _Parts(_newest(group, Reasoning), _newest(group, Repair), _newest(group, Verification))
    yield _joined(group.key, parts, options, now)


def _joined(key: str, parts: _Parts, options: Options, now: datetime) -> Outcome:
    reasoning, repair, check = parts
    if check is None:
        return Filtered(key=key, reason="waits-for-verification")
    collected_at = check[1].collected_at or check[0].published_at
    if (reason := _why_not(check[1], now - collected_at)) is not None:
        return Filtered(key=key, reason=reason)
    if reasoning is None or repair is None:
        return Filtered(key=key, reason="waits-for-reasoning" if reasoning is None else "waits-for-repair")
    if not repair[1].executed:
        return Filtered(key=key, reason="repair-not-executed")
    if options.answer == "json" and reasoning[1].risk is None:
        return Filtered(key=key, reason="risk-unknown")
    return Teaching(
        key=key,
        input=f"{reasoning[1].alert_name}\n\n{reasoning[1].evidence}",
        answer=_answer(reasoning[1], repair[1], check[1], options),
        origin=origin_in([reasoning[0], repair[0], check[0]]),
        metadata={
            "incident": key, "alert_name": reasoning[1].alert_name, "result": check[1].verification_result,
            "collected_at": collected_at.isoformat(), "schema_version": check[1].schema_version,
            "playbook": repair[1].playbook,
        },
    )  # fmt: skip


def _newest(group: Group, schema: type[S]) -> tuple[Heard, S] | None:
    found = [(one, one.said) for one in group.heard if isinstance(one.said, schema)]
    return max(found, key=lambda pair: (pair[0].published_at, pair[0].record_id), default=None)


def _why_not(check: Verification, age: timedelta) -> str | None:
    if check.verification_result.lower() != "success":
        return "not-successful"
    if not check.summary.strip():
        return "no-summary"
    return "too-old" if age > _LOOK_BACK else None


def _answer(reasoning: Reasoning, repair: Repair, check: Verification, options: Options) -> str:
    if options.answer == "json":
        return spell({"cause": reasoning.reasoning, "steps": list(repair.steps), "risk": reasoning.risk})
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(repair.steps, 1))
    return f"{reasoning.reasoning}\n\n{repair.playbook}:\n{steps}\n\n{check.summary.strip()}"


INCIDENT_EVIDENCE = Source(
    name="incident-evidence",
    title="repairs of incidents of the last seven days that a check found to have worked",
    schemas={"incident.reasoned": Reasoning, "incident.repaired": Repair, "incident.verified": Verification},
    options=Options,
    teach=teach,
)
