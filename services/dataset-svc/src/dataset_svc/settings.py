"""Settings of dataset-svc, read from `DATASET_*`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What only this service needs to know."""

    model_config = SettingsConfigDict(env_prefix="DATASET_", frozen=True, extra="ignore")

    port: int = Field(default=8101, ge=1, le=65535, description="port that it listens on")
    max_upload_bytes: int = Field(default=256 << 20, ge=1, description="larger request bodies are refused with 413")
    max_source_bytes: int = Field(default=1 << 30, ge=1, description="larger sources are rejected unread")
    max_line_bytes: int = Field(default=1 << 20, ge=1, description="longer lines are reported as bad")
    build_attempts: int = Field(default=10, ge=1, description="starts of one build after which it is given up")
