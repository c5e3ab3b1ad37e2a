"""Bearer tokens for tests, signed by a key that is made on the spot."""

import json
import time

from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import JsonValue

ISSUER = "loopwright-tests"
AUDIENCE = "loopwright"


class TokenMint:
    """Signs tokens; services under test check them with its `jwks`."""

    def __init__(self) -> None:
        self.key = OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True)

    @property
    def jwks(self) -> str:
        """Public half, JSON Web Key Set."""
        return json.dumps({"keys": [self.key.as_dict(private=False)]})

    def token(self, *roles: str, ttl_s: int = 3600, **claims: JsonValue) -> str:
        """A token for `roles`; a negative time to live makes one that has expired already.

        It lives for an hour by default: one that is made while tests are collected is used many minutes later.

        Args:
            claims: Replace or add claims; None leaves a claim out.
        """
        now = int(time.time())
        standard: dict[str, JsonValue] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "somebody",
            "roles": list(roles),
            "iat": now,
            "exp": now + ttl_s,
        }
        kept = {name: value for name, value in (standard | claims).items() if value is not None}
        return jwt.encode({"alg": "Ed25519", "kid": self.key.kid}, kept, self.key, algorithms=["Ed25519"])

    def header(self, *roles: str) -> dict[str, str]:
        """`Authorization` header with a token for `roles`."""
        return {"Authorization": f"Bearer {self.token(*roles)}"}
