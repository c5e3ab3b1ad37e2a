"""Settings of feedback-svc, read from `FEEDBACK_*` once in `main.py` and passed down in parts."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from feedback_svc.adapters.webhooks import Webhook, check_allowed


class Settings(BaseSettings):
    """What only feedback-svc needs to know."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", frozen=True, extra="ignore")

    port: int = Field(default=8104, description="port of the HTTP door")
    export_poll_s: float = Field(default=0.5, gt=0, description="seconds between looks for requests to export")
    retraining_check_s: float = Field(
        default=5.0, gt=0, description="seconds between looks for tasks whose cool-down has passed meanwhile"
    )
    decision_check_s: float = Field(default=1.0, gt=0, description="seconds between looks at running experiments")
    collecting_check_s: float = Field(
        default=5.0, gt=0, description="seconds between looks for new records, schedules and evidence to write"
    )
    monitoring_check_s: float = Field(
        default=300.0, gt=0, description="seconds between looks at the quality and the inputs of tasks"
    )
    registry_url: str = Field(default="http://127.0.0.1:8103", description="registry-svc, asked for rollbacks")
    alert_webhooks: tuple[Webhook, ...] = Field(
        default=(), description="who is told of alerts: JSON list of `{url, secret, tasks}`"
    )
    alert_hosts: frozenset[str] = Field(default=frozenset(), description="hosts that webhooks may be at: JSON list")
    alert_check_s: float = Field(default=2.0, gt=0, description="seconds between looks for alerts to deliver")

    @model_validator(mode="after")
    def _webhooks_are_allowed(self) -> Self:
        for webhook in self.alert_webhooks:
            check_allowed(webhook, self.alert_hosts)
        return self
