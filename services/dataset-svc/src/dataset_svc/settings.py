"""Settings of dataset-svc, read from `DATASET_*`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What only this service needs to know."""

    model_config = SettingsConfigDict(env_prefix="DATASET_", frozen=True, extra="ignore")

    port: int = Field(default=8101, ge=1, le=65535, description="port that it listens on")
    max_upload_bytes: int = Field(default=256 << 20, ge=1, description="larger request bodies are refused with 413")
    max_source_bytes: int = Field(default=1 << 30, ge=1, description="larger sources are rejected unread")
    max_unpacked_bytes: int = Field(default=4 << 30, ge=1, description="sources that unpack to more are rejected")
    max_line_bytes: int = Field(default=1 << 20, ge=1, description="longer records are reported as bad")
    max_upload_chunk_bytes: int = Field(default=64 << 20, ge=1, description="larger pieces of an upload get 413")
    upload_ttl_s: int = Field(default=86_400, ge=1, description="seconds without a piece after which an upload expires")
    build_helpers: int = Field(default=2, ge=0, description="processes that prepare records of large sources")
    tokenizer_dir: Path | None = Field(default=None, description="tokenizer by which statistics count tokens")
    pseudonym_key_file: Path | None = Field(default=None, description="secret behind pseudonyms; 32 bytes or more")
    build_attempts: int = Field(default=10, ge=1, description="starts of one build after which it is given up")
    max_document_bytes: int = Field(default=32 << 20, ge=1, description="larger documents are refused")
    document_timeout_s: int = Field(default=30, ge=1, description="longest that one document may take to read")
    pairs_url: str | None = Field(default=None, description="OpenAI-compatible endpoint up to /v1 that writes pairs")
    pairs_model: str = Field(default="", description="its model")
    pairs_key: SecretStr | None = Field(default=None, description="its key")
    embeddings_url: str | None = Field(default=None, description="endpoint of embeddings; vectors are hashed without")
    embeddings_model: str = Field(default="", description="its model")
    embeddings_key: SecretStr | None = Field(default=None, description="its key")
    endpoint_timeout_s: float = Field(default=120, gt=0, description="longest silence of these endpoints")
    endpoint_at_once: int = Field(default=4, ge=1, description="calls to each of them at the same time")
