"""Who asks, and what is left of his allowances."""

from datetime import UTC

from loopwright.errors import NotPermitted, RateLimited
from router_svc.domain.keys import KeyEntry
from router_svc.domain.limits import Bucket, refuse_before

ANONYMOUS = "anonymous"


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


def caller_of(key: KeyEntry) -> Caller:
    ends_at = key.expires.astimezone(UTC).timestamp() if key.expires else float("inf")
    return Caller(key.id, tenant=key.tenant, ends_at=ends_at, key=key)
