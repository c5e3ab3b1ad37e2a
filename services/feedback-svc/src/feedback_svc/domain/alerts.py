"""Alerts: which answers are one, when one is a repetition, and how news of it is signed and tried again."""

import hashlib
import hmac
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

CRITICAL_ANOMALY = "log.critical-anomaly"
ATTEMPTS = 10  # the last one about eight hours after the first
_WINDOW = timedelta(hours=1)
_FIRST_DELAY = timedelta(minutes=1)
_CRITICAL = "critical"
_GRAVE = frozenset({"alert", _CRITICAL})
# as apps name them
_PEOPLE = {
    "an expert": ("expert_label", "expert"),
    "whoever corrected its analysis": ("corrected_analysis", "corrected"),
}
_STATUS = ("anomaly_status", "anomaly", "severity", "status")
_SURE_0_1 = 0.9


class _Finding(BaseModel):
    """What an analysis of logs says, as far as it matters here."""

    model_config = ConfigDict(extra="ignore", strict=True)

    anomaly_status: str
    confidence: float


def repeats(raised_at: datetime, *, earlier_at: datetime) -> bool:
    """Whether an alert says the same again, of the same kind and task, within an hour of the one before."""
    return raised_at < earlier_at + _WINDOW


def critical_anomaly(answer: str | None) -> str | None:
    """How grave an analysis of logs finds them, if it is sure; without its words, which an erasure would have to find."""
    if answer is None or '"anomaly_status"' not in answer:  # spares nearly all answers the parsing
        return None
    try:
        finding = _Finding.model_validate_json(answer)
    except ValidationError:
        return None
    return _graveness(finding)


def _graveness(finding: _Finding) -> str | None:
    if finding.anomaly_status not in _GRAVE or finding.confidence < _SURE_0_1:
        return None
    return f"{finding.anomaly_status} with confidence {finding.confidence:.2f}"


def critical_record(record: JsonValue) -> str | None:
    """Who finds a record of a batch of logs critical; without its words.

    A person's word stands above the analysis, which must be as sure as the platform's own. An alarm that an expert has
    labelled is material for training and nothing new; one that the expert calls critical is.
    """
    if not isinstance(record, dict):
        return None
    for who, names in _PEOPLE.items():
        word = next((_status_in(record[name]) for name in names if name in record), None)
        if word is not None:
            return f"critical by {who}" if word == _CRITICAL else None
    try:
        return _graveness(_Finding.model_validate(record.get("analysis")))
    except ValidationError:
        return None


def _status_in(word: JsonValue) -> JsonValue:
    if not isinstance(word, dict):
        return None
    return next((word[name] for name in _STATUS if name in word), None)


def signature_of(secret: str, body: bytes, *, timestamp: int) -> str:
    """HMAC-SHA256 (RFC 2104) over seconds since 1970, a dot and the body: an old message cannot be sent again as new."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def next_attempt_at(attempts: int, *, now: datetime) -> datetime | None:
    """When to try again after so many failures; None if that was the last time."""
    return None if attempts >= ATTEMPTS else now + _FIRST_DELAY * 2 ** (attempts - 1)
