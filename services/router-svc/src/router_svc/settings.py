"""Settings of router-svc, from `ROUTER_*`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One worker of the router."""

    model_config = SettingsConfigDict(env_prefix="ROUTER_", frozen=True, extra="ignore")

    port: int = Field(default=8100, ge=0, description="port of the inference API")
    signing_key_file: Path = Field(description="secret of at least 32 bytes that inference ids are signed with")
    spool_dir: Path = Field(default=Path("/var/lib/loopwright/spool"), description="folder of events on their way out")
    spool_segment_bytes: int = Field(default=8 << 20, ge=4096, description="size at which a segment is closed")
    spool_limit_bytes: int = Field(default=2 << 30, ge=65_536, description="most bytes that one worker's spool takes")
    connect_timeout_s: float = Field(default=2, gt=0, description="patience with a connection to a model's server")
    first_byte_timeout_s: float = Field(
        default=120, gt=0, description="patience with the first byte of a stream, or with a whole answer"
    )
    between_chunks_timeout_s: float = Field(default=60, gt=0, description="patience with the next piece of a stream")
    backend_rest_s: float = Field(default=5, ge=0, description="how long a failed server is asked after the others")
    max_body_bytes: int = Field(default=4 << 20, ge=1024, description="largest request body")
    max_answer_copy_bytes: int = Field(default=4 << 20, ge=1024, description="largest answer that is recorded")
    max_event_bytes: int = Field(
        default=900_000, ge=10_000, description="largest event with its conversation; Kafka takes 1 MiB by default"
    )
    concurrency_limit: int = Field(default=512, ge=1, description="requests in flight; more get 503")
    prompt_likelihoods: bool = Field(
        default=False, description="pass on questions for likelihoods of prompts; vLLM 0.32 on CPUs dies of them"
    )
    rating_max_age_days: float = Field(
        default=90, gt=0, description="age at which an inference cannot be rated any more"
    )
