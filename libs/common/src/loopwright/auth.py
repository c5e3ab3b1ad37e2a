"""Who is asking: bearer tokens (JWT, RFC 7519) checked against a JWKS, and the three roles of admin routes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError, field_validator

from loopwright.errors import NotAuthenticated, NotPermitted

if TYPE_CHECKING:
    from joserfc.jwk import KeySet
    from joserfc.jwt import JWTClaimsRegistry

_ALGORITHMS = ["Ed25519", "EdDSA", "ES256", "RS256"]  # asymmetric only: services hold no key that could sign
_bearer = HTTPBearer(auto_error=False, description="JWT with `sub` and `roles`")
_roles_claim = TypeAdapter(list[str])
# what a public key has beside its type (RFC 7518, 6; RFC 8037, 2)
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


class _KeySet(BaseModel):
    keys: list[dict[str, JsonValue]]

    @field_validator("keys")
    @classmethod
    def _whole(cls, keys: list[dict[str, JsonValue]]) -> list[dict[str, JsonValue]]:
        for place, key in enumerate(keys):
            members = _MEMBERS.get(str(key.get("kty")))
            if members is None or not all(isinstance(key.get(name), str) for name in members):
                raise ValueError(f"key {place} of the set is no RSA, EC or OKP key, or lacks a member of one")
        return keys


class Role(IntEnum):
    """Each role may do what the ones below it may."""

    VIEWER = 1
    ENGINEER = 2
    ADMIN = 3


@dataclass(frozen=True)
class Principal:
    """Who is asking, and the highest role that the token gives."""

    subject: str
    role: Role


class TokenVerifier:
    """Checks signature, issuer, audience and times of tokens; the library that does is loaded with the first one.

    Args:
        jwks: Public keys, JSON Web Key Set (RFC 7517).

    Raises:
        ValidationError: that is no set of public keys.
    """

    def __init__(self, jwks: str, *, issuer: str, audience: str) -> None:
        self._jwks = _KeySet.model_validate_json(jwks)
        self._issuer = issuer
        self._audience = audience

    @classmethod
    def from_file(cls, path: Path, *, issuer: str, audience: str) -> "TokenVerifier":
        return cls(path.read_text(), issuer=issuer, audience=audience)

    def verify(self, token: str) -> Principal:
        """Reads a token of somebody with a role.

        Raises:
            NotAuthenticated: it is expired, forged, meant for others, or not a token.
            NotPermitted: it carries none of our roles.
        """
        claims = self.claims_of(token)
        return Principal(subject=str(claims["sub"]), role=_highest_role(claims.get("roles")))

    def claims_of(self, token: str) -> Mapping[str, JsonValue]:
        """What a token says, of which `sub`, `iss`, `aud` and `exp` are there.

        Raises:
            NotAuthenticated: it is expired, forged, meant for others, or not a token.
        """
        from joserfc import jwt  # noqa: PLC0415 - 10 MB that a process without tokens does without
        from joserfc.errors import ExpiredTokenError, JoseError  # noqa: PLC0415

        keys, rules = self._keys, self._rules
        try:
            decoded = jwt.decode(token, keys, algorithms=_ALGORITHMS)
            rules.validate(decoded.claims)
        except ExpiredTokenError as error:
            raise NotAuthenticated("auth.token-expired", "the token has expired") from error
        except (JoseError, ValueError) as error:
            raise NotAuthenticated("auth.token-invalid", "the token cannot be trusted") from error
        return decoded.claims

    @cached_property
    def _keys(self) -> "KeySet":
        from joserfc.jwk import KeySet  # noqa: PLC0415 - as above

        return KeySet.import_key_set(self._jwks.model_dump())  # pyright: ignore[reportArgumentType] - a JWKS is this shape

    @cached_property
    def _rules(self) -> "JWTClaimsRegistry":
        from joserfc.jwt import JWTClaimsRegistry  # noqa: PLC0415 - as above

        return JWTClaimsRegistry(
            leeway=5,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
            sub={"essential": True},
        )


def _highest_role(claim: object) -> Role:
    try:
        names = _roles_claim.validate_python(claim)
    except ValidationError as error:
        raise NotPermitted("auth.no-role", "the token carries no list of roles") from error
    known = [Role[name.upper()] for name in names if name.upper() in Role.__members__]
    if not known:
        raise NotPermitted("auth.no-role", "the token carries none of the roles viewer, engineer and admin")
    return max(known)


def require(role: Role) -> Callable[..., Awaitable[Principal]]:
    """A FastAPI dependency that lets a route be used from a role upwards.

    Raises (from the dependency):
        NotAuthenticated: there is no token, or one that cannot be trusted.
        NotPermitted: the role is too weak.
    """

    async def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Principal:
        if credentials is None:
            raise NotAuthenticated("auth.token-missing", "this route needs a bearer token")
        verifier: TokenVerifier | None = getattr(request.app.state, "token_verifier", None)
        if verifier is None:
            raise NotAuthenticated("auth.no-keys", "this service was started without keys to check tokens with")
        principal = verifier.verify(credentials.credentials)
        if principal.role < role:
            raise NotPermitted(
                "auth.role-too-weak", f"this needs the role {role.name.lower()}", role=principal.role.name.lower()
            )
        return principal

    return check


Viewer = Annotated[Principal, Depends(require(Role.VIEWER))]
Engineer = Annotated[Principal, Depends(require(Role.ENGINEER))]
Admin = Annotated[Principal, Depends(require(Role.ADMIN))]
