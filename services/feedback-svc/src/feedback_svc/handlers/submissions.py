"""Feedback records that come over HTTP: checked at the door, then on the way that all of them take."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from feedback_svc.domain.sources.catalogue import KINDS, Misfit, read_record
from loopwright.contracts.base import JsonObject
from loopwright.contracts.records import FeedbackReceived
from loopwright.errors import Invalid
from loopwright.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One record.

    Attributes:
        record_id: Its id in its source; None to name it by its content, so that sending it again changes nothing.
    """

    kind: str
    record: JsonObject
    record_id: str | None
    unit_hash: str | None


async def submit(submissions: Sequence[Submission], work: Work, *, now: datetime) -> tuple[str, ...]:
    """Announces records, all or none of them.

    Returns:
        Their ids, in order.

    Raises:
        Invalid: a record does not fit its kind, or nobody reads its kind.
        InvalidPayload: one is too large for Kafka.
    """
    events = [_checked(one, number, now=now) for number, one in enumerate(submissions)]
    for event in events:
        work.announce(event)
    return tuple(event.record_id for event in events)


def _checked(submission: Submission, number: int, *, now: datetime) -> FeedbackReceived:
    if submission.kind not in KINDS:
        raise Invalid(
            "feedback.unknown-kind", f"record {number}: no source reads {submission.kind} (known: {', '.join(KINDS)})",
            index=number,
        )  # fmt: skip
    try:
        read_record(submission.kind, submission.record)
    except Misfit as misfit:
        raise Invalid("feedback.misfit", f"record {number}: {misfit}", index=number) from misfit
    return FeedbackReceived(
        record_id=submission.record_id or _name(submission),
        kind=submission.kind,
        record=submission.record,
        received_at=now,
        unit_hash=submission.unit_hash,
    )


def _name(submission: Submission) -> str:
    said = json.dumps([submission.kind, submission.record, submission.unit_hash], sort_keys=True)
    return f"sub-{hashlib.sha256(said.encode()).hexdigest()[:32]}"
