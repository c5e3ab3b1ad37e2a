"""Webhooks that are told of alerts: only hosts that are allowed, signed, no redirect followed, no answer read."""

import json
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from feedback_svc.domain.alerts import signature_of
from loopwright.contracts.records import AlertRaised

_TIMEOUT_S = 10


class Webhook(BaseModel):
    """Where alerts are told, and what receivers know them by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(max_length=2048, description="https:// or http:// URL")
    secret: SecretStr = Field(min_length=16, description="key of the signatures")
    tasks: tuple[str, ...] = Field(default=(), description="tasks whose alerts it wants; all if empty")


def check_allowed(webhook: Webhook, hosts: frozenset[str]) -> None:
    """Refuses URLs that could reach what nobody meant to be reached.

    Raises:
        ValueError: the URL is no web address, holds credentials, or its host is not allowed.
    """
    parts = urlsplit(webhook.url)
    if parts.scheme not in {"https", "http"} or parts.username is not None or parts.hostname not in hosts:
        raise ValueError(
            f"a webhook's host must be one of the allowed ones, {', '.join(sorted(hosts)) or 'of which there are none'}"
        )


async def post_alert(webhook: Webhook, alert: AlertRaised, *, occurrences: int, timestamp: int) -> str | None:
    """Tells a webhook of an alert; why it failed, None if it did not.

    Args:
        timestamp: Seconds since 1970; receivers refuse messages that are much older.
    """
    body = json.dumps({**alert.model_dump(mode="json"), "occurrences": occurrences}, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Loopwright-Alert": alert.alert_id,
        "X-Loopwright-Timestamp": str(timestamp),
        "X-Loopwright-Signature": f"v1={signature_of(webhook.secret.get_secret_value(), body, timestamp=timestamp)}",
    }
    try:
        async with (
            httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", webhook.url, content=body, headers=headers) as response,
        ):
            return None if response.is_success else f"answered {response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return repr(error)
