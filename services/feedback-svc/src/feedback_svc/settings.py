"""Settings of feedback-svc, read from `FEEDBACK_*` once in `main.py` and passed down in parts."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What only feedback-svc needs to know."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", frozen=True, extra="ignore")

    port: int = Field(default=8104, description="port of the HTTP door")
    export_poll_s: float = Field(default=0.5, gt=0, description="seconds between looks for requests to export")
    retraining_check_s: float = Field(
        default=5.0, gt=0, description="seconds between looks for tasks whose cool-down has passed meanwhile"
    )
