"""Who may ask what: keys as an operator writes them down, and the callers that they make.

A key is never written down itself, only its SHA-256: keys are 256 random bits, so nothing slower is needed (NIST SP
800-63B 5.1.1.2 asks for slow hashes of what people choose). Who compares digests learns nothing from the time it takes.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from loopwright.errors import NotPermitted, RateLimited
from router_svc.domain.limits import Bucket, refuse_before

PREFIX = "lw_"
KEY_BYTES = 32

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@\-]*$")]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key of the file; what is left out is not limited.

    Attributes:
        sha256: Of the key, hexadecimal.
        tasks: Tasks that it may ask; None are all.
        tokens_per_min: Read and written ones together, counted after each answer.
        concurrent: Requests in flight.
        max_tokens: Longest answer that may be asked for.
        expires: When it ends to be one; with an offset of UTC.
    """

    id: _Name
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    tenant: _Name | None = None
    tasks: frozenset[_Name] | None = None
    requests_per_min: _Positive | None = None
    tokens_per_min: _Positive | None = None
    concurrent: _Positive | None = None
    max_tokens: _Positive | None = None
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every key of a router."""

    keys: tuple[KeyEntry, ...] = ()


class Caller:
    """Somebody who was let in, with what is left of his allowances.

    Attributes:
        name: Of the key, or the token's subject; `anonymous` for nobody in particular.
        tenant: Whose data it is; None where nobody said.
        unit: Whom experiments assign, if a token says; a request may name its own where it does not.
        max_tokens: Longest answer that may be asked for.
        concurrent: Requests that may be in flight; None: any number.
        ends_at: Seconds since 1970 at which the key or token ends.
    """

    __slots__ = ("_in_flight", "_requests", "_tasks", "_tokens", "concurrent", "ends_at", "max_tokens", "name",
                 "tenant", "unit")  # fmt: skip

    def __init__(
        self, name: str, *, tenant: str | None = None, unit: str | None = None, ends_at: float = float("inf"),
        key: KeyEntry | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.tenant = tenant
        self.unit = unit
        self.ends_at = ends_at
        self.max_tokens = key.max_tokens if key else None
        self._tasks = key.tasks if key else None
        self._requests = Bucket(key.requests_per_min) if key and key.requests_per_min else None
        self._tokens = Bucket(key.tokens_per_min) if key and key.tokens_per_min else None
        self.concurrent = key.concurrent if key else None
        self._in_flight = 0

    def enter(self, now: float) -> None:
        """Counts a request in; `leave` must follow.

        Raises:
            RateLimited: too many requests, tokens, or requests at once.
        """
        if self.concurrent is not None and self._in_flight >= self.concurrent:
            raise RateLimited("router.too-many-at-once", "This key has too many requests in flight", retry_after_s=1)
        if self._tokens is not None:
            refuse_before(self._tokens.wait_s(now), "tokens of this key")
        if self._requests is not None:
            refuse_before(self._requests.wait_s(now), "requests of this key")
            self._requests.take(now)
        self._in_flight += 1

    def leave(self, now: float, *, tokens: int = 0) -> None:
        """Counts a request out, with the tokens that it took."""
        self._in_flight -= 1
        if tokens and self._tokens is not None:
            self._tokens.take(now, tokens)

    def may_ask(self, task_id: str) -> bool:
        return self._tasks is None or task_id in self._tasks

    def require_task(self, task_id: str) -> None:
        """Keeps a key to its tasks.

        Raises:
            NotPermitted: this is none of them.
        """
        if self._tasks is not None and task_id not in self._tasks:
            raise NotPermitted("router.task-not-allowed", "This key may not ask this task", task_id=task_id[:200])


ANONYMOUS = "anonymous"


def digest_of(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def read_keys(text: bytes) -> KeyFile:
    """Reads a file of keys, JSON or YAML.

    Raises:
        ValueError: it is none, or two keys share an id or a digest; says where.
    """
    try:
        # YAML holds JSON, but takes a hundred times as long to read
        decode = msgspec.json.decode if text.lstrip().startswith(b"{") else msgspec.yaml.decode
        file = decode(text, type=KeyFile)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ValueError(f"no file of keys: {error}"[:500]) from error
    for field in ("id", "sha256"):
        values = [getattr(key, field) for key in file.keys]
        if len(set(values)) < len(values):
            raise ValueError(f"two keys have the same {field}")
    return file


def caller_of(key: KeyEntry) -> Caller:
    ends_at = key.expires.astimezone(UTC).timestamp() if key.expires else float("inf")
    return Caller(key.id, tenant=key.tenant, ends_at=ends_at, key=key)
