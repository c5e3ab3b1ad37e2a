"""The guard of the public routes: keys from a file that may change, tokens that were verified before, and limits."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from pydantic import JsonValue, TypeAdapter, ValidationError

from loopwright.auth import TokenVerifier
from loopwright.contracts.base import Identifier
from loopwright.errors import NotAuthenticated, PlatformError, RateLimited
from router_svc.adapters.metrics import GUARD_REFUSALS
from router_svc.domain.callers import ANONYMOUS, Caller, caller_of
from router_svc.domain.keys import PREFIX, KeyEntry, digest_of, read_keys
from router_svc.domain.limits import Addresses, Network, client_address

_log = structlog.get_logger()
_LOOK_EVERY_S: Final = 1.0
_MOST_TOKENS = 10_000
_MOST_TOKEN_CHARACTERS = 8192
_FAILURES_PER_MINUTE = 60  # of one address; checking a forged signature costs some hundred microseconds
_BEARER: Final = b"bearer "
_identifier = TypeAdapter[str](Identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """What is asked of callers.

    Attributes:
        required: Whether who has neither key nor token is refused.
        requests_per_min: Of one address on the inference and rating routes; None: no limit.
        admin_requests_per_min: Of one address on the routes of operators; None: no limit.
        trusted_proxies: Networks whose `X-Forwarded-For` is believed.
        unit_claim: Claim of a token that names the unit of experiments.
        tenant_claim: Claim of a token that names the tenant.
    """

    required: bool = True
    requests_per_min: int | None = None
    admin_requests_per_min: int | None = 100
    trusted_proxies: Sequence[Network] = ()
    unit_claim: str = "sub"
    tenant_claim: str = "tenant"


class KeysOnDisk:
    """The file of keys; read again when it changes.

    A file that cannot be read any more leaves the keys as they were, and says so in the log and in `probe`.

    Raises:
        ValueError: it is no such file when the router starts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = (-1, -1)
        self._entries: dict[bytes, KeyEntry] = {}
        self._callers: dict[bytes, Caller] = {}
        self._trouble: str | None = None
        self._read()

    @property
    def callers(self) -> Mapping[bytes, Caller]:
        """By digest."""
        return self._callers

    def refresh(self) -> None:
        try:
            self._read()
        except (OSError, ValueError) as error:
            if self._trouble is None:
                _log.error("keys.unreadable", reason=str(error)[:300])
            self._trouble = str(error)[:300]
        else:
            self._trouble = None

    async def probe(self) -> str | None:
        return None if self._trouble is None else f"keys as of an earlier file: {self._trouble}"

    def _read(self) -> None:
        status = self._path.stat()
        seen = (status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return
        entries = {bytes.fromhex(key.sha256): key for key in read_keys(self._path.read_bytes()).keys}
        # whose entry did not change keeps what he used up of his allowances
        same = {digest for digest, entry in entries.items() if self._entries.get(digest) == entry}
        self._callers = {
            digest: self._callers[digest] if digest in same else caller_of(entry) for digest, entry in entries.items()
        }
        self._entries, self._seen = entries, seen


class Guard:
    """Says who asks, and whether he may now.

    Args:
        verifier: Checks tokens; without one there are only keys.
    """

    def __init__(self, rules: GuardRules, *, keys: KeysOnDisk | None, verifier: TokenVerifier | None) -> None:
        self._rules = rules
        self._keys = keys
        self._verifier = verifier
        self._known: Mapping[bytes, Caller] = keys.callers if keys else {}
        # of the keys that were used since the last look at the file: bytes' own hash costs less, and is keyed too
        self._digests: dict[bytes, bytes] = {}
        self._tokens: OrderedDict[bytes, Caller] = OrderedDict()
        self._anonymous = Caller(ANONYMOUS)
        self._look_at = 0.0
        self._addresses = Addresses(rules.requests_per_min) if rules.requests_per_min else None
        self._admin = Addresses(rules.admin_requests_per_min) if rules.admin_requests_per_min else None
        self._failures = Addresses(_FAILURES_PER_MINUTE)

    def address_of(self, peer: str, forwarded_for: str | None) -> str:
        """Whom a connection counts for, behind the proxies that are trusted."""
        return client_address(peer, forwarded_for, trusted=self._rules.trusted_proxies)

    def admit(self, authorization: bytes | None, address: str, *, now: float) -> Caller:
        """Lets a request in; `Caller.leave` must follow once it is answered.

        Args:
            authorization: The header's value.
            now: Seconds since 1970.

        Raises:
            NotAuthenticated: there is no key or token, or one that cannot be trusted.
            RateLimited: too much was asked; its fact says when to come back.
        """
        try:
            caller = self._identify(authorization, address, now)
            caller.enter(now)
        except PlatformError as error:
            GUARD_REFUSALS.labels(error.code).inc()
            raise
        return caller

    def identify(self, authorization: bytes | None, address: str, *, now: float) -> Caller:
        """As `admit`, but counts for the address alone: what a batch asks is counted one by one."""
        try:
            return self._identify(authorization, address, now)
        except PlatformError as error:
            GUARD_REFUSALS.labels(error.code).inc()
            raise

    def _identify(self, authorization: bytes | None, address: str, now: float) -> Caller:
        if now >= self._look_at:
            self._look_again(now)
        caller = self._caller(authorization, address, now)
        if self._addresses is not None:
            self._addresses.admit(address, now)
        return caller

    def admit_operator(self, address: str, *, now: float) -> None:
        """Counts a request to the routes of operators, which check roles themselves.

        Raises:
            RateLimited: it is one too many.
        """
        if self._admin is None:
            return
        try:
            self._admin.admit(address, now)
        except RateLimited as error:
            GUARD_REFUSALS.labels(error.code).inc()
            raise

    def _look_again(self, now: float) -> None:
        self._look_at = now + _LOOK_EVERY_S
        if self._keys is not None:
            self._keys.refresh()
            self._known = self._keys.callers
            self._digests.clear()

    def _caller(self, authorization: bytes | None, address: str, now: float) -> Caller:
        if authorization is None or not (authorization.startswith(b"Bearer ") or authorization[:7].lower() == _BEARER):
            return self._nobody()
        digest = self._digests.get(authorization)
        if digest is None:
            digest = digest_of(authorization[7:])
        caller = self._known.get(digest)
        if caller is None:
            caller = self._tokens.get(digest) or self._stranger(authorization[7:], digest, address, now)
        else:
            self._digests[authorization] = digest  # only keys that are known: strangers must not fill it
        if caller.ends_at <= now:
            self._tokens.pop(digest, None)
            raise NotAuthenticated("auth.key-expired", "The key or token has expired")
        return caller

    def _nobody(self) -> Caller:
        if self._rules.required:
            raise NotAuthenticated("auth.key-missing", "This route needs `Authorization: Bearer <key>`")
        return self._anonymous

    def _stranger(self, secret: bytes, digest: bytes, address: str, now: float) -> Caller:
        """Verifies a token; where nobody need have a key, what is neither key nor token of ours is nobody's."""
        text = secret.decode("latin-1").strip()
        is_token = text.count(".") == 2 and len(text) <= _MOST_TOKEN_CHARACTERS
        if not (is_token or text.startswith(PREFIX) or self._rules.required):
            return self._anonymous
        self._failures.check(address, now)
        try:
            return self._verified(text, digest, is_token=is_token)
        except NotAuthenticated:
            self._failures.charge(address, now)
            raise

    def _verified(self, text: str, digest: bytes, *, is_token: bool) -> Caller:
        if not is_token or self._verifier is None:
            raise NotAuthenticated("auth.key-unknown", "The key is not known here")
        claims = self._verifier.claims_of(text)
        caller = Caller(
            str(claims["sub"])[:200],
            tenant=_named(claims, self._rules.tenant_claim),
            unit=_text(claims, self._rules.unit_claim),
            ends_at=_number(claims["exp"]),
        )
        self._tokens[digest] = caller
        if len(self._tokens) > _MOST_TOKENS:
            self._tokens.popitem(last=False)
        return caller


def _named(claims: Mapping[str, JsonValue], claim: str) -> str | None:
    if claims.get(claim) is None:
        return None
    try:
        return _identifier.validate_python(claims[claim])
    except ValidationError as error:
        raise NotAuthenticated("auth.tenant-unfit", f"The claim `{claim}` names no tenant") from error


def _text(claims: Mapping[str, JsonValue], claim: str) -> str | None:
    value = claims.get(claim)
    return value[:500] if isinstance(value, str) and value else None


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
