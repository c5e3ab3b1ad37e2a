"""Which answers are alerts, how news of them is signed, when it is tried again, and where it may go."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue, SecretStr, ValidationError

from feedback_svc.adapters.webhooks import Webhook
from feedback_svc.domain.alerts import (
    ATTEMPTS,
    critical_anomaly,
    critical_record,
    next_attempt_at,
    repeats,
    signature_of,
)
from feedback_svc.settings import Settings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "sixteen-letters-or-more"


class TestCriticalAnomaly:
    def test_a_grave_and_sure_finding_is_one_without_its_words(self) -> None:
        answer = json.dumps({"anomaly_status": "critical", "confidence": 0.97, "detected_issues": ["disk full"]})
        assert critical_anomaly(answer) == "critical with confidence 0.97"

    @pytest.mark.parametrize(
        "answer",
        [
            None, "", "disk full", '{"anomaly_status"', '{"anomaly_status":"critical"}', "[" * 5000 + '"anomaly_status"',
            '{"anomaly_status":"critical","confidence":0.5}', '{"anomaly_status":"normal","confidence":0.99}',
            '{"anomaly_status":"critical","confidence":"high"}', '{"anomaly_status":["critical"],"confidence":1}',
        ],
    )  # fmt: skip
    def test_what_is_not_grave_not_sure_or_no_analysis_is_none(self, answer: str | None) -> None:
        assert critical_anomaly(answer) is None


class TestCriticalRecord:
    @pytest.mark.parametrize(
        "record",
        [
            {"expert_label": {"anomaly_status": "critical"}}, {"corrected_analysis": {"severity": "critical"}},
            {"analysis": {"anomaly_status": "alert", "confidence": 0.9}},
            {"analysis": {"anomaly_status": "critical", "confidence": 0.95}, "expert_label": {"note": "seen"}},
            {"analysis": {"anomaly_status": "normal", "confidence": 1.0}, "expert_label": {"anomaly": "critical"}},
            {"analysis": "none", "expert_label": {"anomaly": "critical"}},
        ],
    )  # fmt: skip
    def test_is_one_by_a_persons_word_or_by_an_analysis_that_is_sure(self, record: JsonValue) -> None:
        assert (critical_record(record) or "").startswith(("critical", "alert"))

    @pytest.mark.parametrize(
        "record",
        [
            None, "critical", {"level": "critical"}, {"expert_label": {"anomaly": True}},
            {"expert_label": {"anomaly_status": "alert"}}, {"expert_label": "critical"},
            {"analysis": {"anomaly_status": "critical", "confidence": 0.5}}, {"analysis": {"anomaly_status": "critical"}},
            {"analysis": {"anomaly_status": "critical", "confidence": 1.0}, "expert_label": {"anomaly": "normal"}},
            {"expert_label": {"anomaly_status": ["critical"]}}, {"analysis": [[[["critical"]]]]},
        ],
    )  # fmt: skip
    def test_is_none_by_its_own_words_or_against_a_persons(self, record: JsonValue) -> None:
        assert critical_record(record) is None


def test_the_same_within_an_hour_is_a_repetition() -> None:
    assert repeats(NOON + timedelta(minutes=59), earlier_at=NOON)
    assert not repeats(NOON + timedelta(minutes=60), earlier_at=NOON)


def test_delays_double_and_end() -> None:
    waits = [next_attempt_at(attempts, now=NOON) for attempts in range(1, ATTEMPTS + 1)]
    assert waits[:3] == [NOON + timedelta(minutes=minutes) for minutes in (1, 2, 4)]
    assert waits[-1] is None


def test_a_signature_covers_the_time_and_the_body() -> None:
    wanted = hmac.new(SECRET.encode(), b'17.{"a":1}', hashlib.sha256).hexdigest()
    assert signature_of(SECRET, b'{"a":1}', timestamp=17) == wanted
    assert signature_of(SECRET, b'{"a":1}', timestamp=18) != wanted
    assert signature_of(SECRET, b'{"a":2}', timestamp=17) != wanted


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/hook", "https://169.254.169.254/latest", "file:///etc/passwd", "https://hooks.example@evil/",
        "https://user:word@hooks.example/", "gopher://hooks.example/", "not a url",
    ],
)  # fmt: skip
def test_a_webhook_outside_the_allowed_hosts_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="allowed"):
        Settings(alert_webhooks=(Webhook(url=url, secret=SecretStr(SECRET)),), alert_hosts=frozenset({"hooks.example"}))


def test_a_webhook_at_an_allowed_host_is_taken() -> None:
    webhook = Webhook(url="https://hooks.example/a", secret=SecretStr(SECRET))
    assert Settings(alert_webhooks=(webhook,), alert_hosts=frozenset({"hooks.example"})).alert_webhooks == (webhook,)
