"""Settings that every service shares, read from `LOOPWRIGHT_*` once in `main.py` and passed down in parts."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class CommonSettings(BaseSettings):
    """Where the shared parts are."""

    model_config = SettingsConfigDict(env_prefix="LOOPWRIGHT_", frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="address that services listen on")
    database_url: SecretStr = Field(
        default=SecretStr("postgresql+asyncpg://127.0.0.1/loopwright"), description="SQLAlchemy URL, asyncpg driver"
    )
    kafka_bootstrap: str = Field(default="127.0.0.1:9092", description="comma-separated brokers")
    kafka_replication: int = Field(default=1, ge=1, description="replication factor of topics that we create")
    storage_uri: str = Field(default="file:///var/lib/loopwright", description="file:// folder or s3:// bucket/prefix")
    storage_keys_file: Path | None = Field(
        default=None, description="keys that stored objects are sealed with (AES-256-GCM); None stores them plain"
    )
    mlflow_uri: str = Field(default="http://127.0.0.1:5000", description="MLflow tracking server")
    auth_jwks_file: Path | None = Field(default=None, description="public keys that tokens are checked with (JWKS)")
    auth_issuer: str = Field(default="loopwright", description="expected `iss`")
    auth_audience: str = Field(default="loopwright", description="expected `aud`")
    otlp_endpoint: str | None = Field(default=None, description="OTLP/HTTP collector for traces")
    trace_dir: Path | None = Field(default=None, description="folder for traces as OTLP JSON lines")
    log_level: str = Field(default="INFO", description="least level that is written")
    retry_attempts: int = Field(default=6, ge=1, description="tries of one event while a dependency is away")
    retry_first_delay_s: float = Field(
        default=0.5, gt=0, description="delay before the second try; doubles, up to 15 s"
    )
    dead_letter_limit: int = Field(
        default=100, ge=1, description="dead letters of one topic in a minute that stop a consumer"
    )
