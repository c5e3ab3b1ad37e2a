"""Settings of router-svc, from `ROUTER_*`."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from router_svc.domain.units import unit_order


def _readable_order(text: str) -> str:
    unit_order(text)
    return text


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
    breaker_failures: int = Field(default=5, ge=1, description="failures in a row after which a server is left alone")
    backend_return_s: float = Field(default=10, ge=0, description="how long the way back to a full share takes")
    health_check_every_s: float = Field(default=5, ge=0, description="between health checks of a server; 0: none")
    hedge_after_s: float | None = Field(
        default=None, gt=0, description="without a first byte for so long, another replica is asked too; none: never"
    )
    request_timeout_s: float = Field(default=30, gt=0, description="patience with a client's request to be whole")
    idle_timeout_s: float = Field(default=75, gt=0, description="patience with a kept connection of a client")
    stalled_timeout_s: float = Field(default=60, gt=0, description="patience with a client that takes nothing")
    max_body_bytes: int = Field(default=4 << 20, ge=1024, description="largest request body")
    max_answer_copy_bytes: int = Field(default=4 << 20, ge=1024, description="largest answer that is recorded")
    max_event_bytes: int = Field(
        default=900_000, ge=10_000, description="largest event with its conversation; Kafka takes 1 MiB by default"
    )
    concurrency_limit: int = Field(default=512, ge=1, description="requests in flight; more wait, or get 503")
    queue_limit: int = Field(default=256, ge=0, description="requests that wait for one in flight to end")
    queue_timeout_s: float = Field(default=2, gt=0, description="how long they wait before they get 503")
    drain_s: float = Field(
        default=1, ge=0, description="how long it goes on taking connections once it was asked to end"
    )
    workers: int = Field(default=1, ge=1, le=256, description="processes on the port")
    trace_share_0_1: float = Field(
        default=1, ge=0, le=1, description="of requests without a decision of their client that are traced, if anywhere"
    )
    prompt_likelihoods: bool = Field(
        default=False, description="pass on questions for likelihoods of prompts; vLLM 0.32 on CPUs dies of them"
    )
    rating_max_age_days: float = Field(
        default=90, gt=0, description="age at which an inference cannot be rated any more"
    )
    auth: Literal["required", "optional"] = Field(
        default="required", description="whether who has neither key nor token is refused"
    )
    api_keys_file: Path | None = Field(default=None, description="hashed API keys, JSON or YAML; read when it changes")
    unit_claim: str = Field(default="sub", description="claim of a token that names the unit of experiments")
    tenant_claim: str = Field(default="tenant", description="claim of a token that names the tenant")
    address_requests_per_min: int | None = Field(
        default=None, ge=1, description="of one address on inference and rating routes; none: no limit"
    )
    admin_requests_per_min: int | None = Field(default=100, ge=1, description="of one address on /api/; none: no limit")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="networks whose X-Forwarded-For is believed, JSON list"
    )
    knowledge_url: str | None = Field(default=None, description="dataset-svc, where similar cases are looked up")
    knowledge_token_file: Path | None = Field(default=None, description="bearer token of a viewer there")
    analyses_at_once: int = Field(default=8, ge=1, le=256, description="questions of one batch in flight")
    shadows_in_flight: int = Field(default=16, ge=0, description="copies to shadows at once; more are dropped")
    shadow_bytes: int = Field(default=32 << 20, ge=0, description="bytes of all requests that are copied at once")
    unit_order: Annotated[str, AfterValidator(_readable_order)] = Field(
        default="user,header,claim,cookie",
        description="where a request's unit comes from: the first that says something",
    )
