"""Tokens: who is believed, who is refused, and with which answer."""

import base64
import json

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from pydantic import ValidationError

from loopwright.auth import Admin, Engineer, Principal, Role, TokenVerifier, Viewer
from loopwright.errors import NotAuthenticated, NotPermitted
from loopwright.problems import MEDIA_TYPE, install_problem_handlers
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint

MINT = TokenMint()
VERIFIER = TokenVerifier(MINT.jwks, issuer=ISSUER, audience=AUDIENCE)


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unsigned(token: str) -> str:
    header = b64(json.dumps({"alg": "none", "typ": "JWT", "kid": MINT.key.kid}).encode())
    return f"{header}.{token.split('.')[1]}."


def signed_with_the_public_key_as_secret(token: str) -> str:
    """The HS256 confusion: the attacker knows the public key, and hopes that it is taken for a shared secret."""
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    secret = OctKey.import_key(json.dumps(MINT.key.as_dict(private=False)).encode().ljust(32, b" "))
    return jwt.encode({"alg": "HS256", "kid": MINT.key.kid}, claims, secret, algorithms=["HS256"])


def with_other_claims(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"roles": ["admin"], "sub": "somebody else"}
    return ".".join([header, b64(json.dumps(claims).encode()), signature])


def by_another_mint_under_our_key_id() -> str:
    key = OKPKey.generate_key("Ed25519")
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "roles": ["admin"], "exp": 4_000_000_000}
    return jwt.encode({"alg": "Ed25519", "kid": MINT.key.kid}, claims, key, algorithms=["Ed25519"])


def bringing_its_own_key() -> str:
    key = OKPKey.generate_key("Ed25519")
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "roles": ["admin"], "exp": 4_000_000_000}
    header = {"alg": "Ed25519", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key, algorithms=["Ed25519"])


class TestVerify:
    @pytest.mark.parametrize("role", list(Role))
    def test_believes_a_token_of_the_mint(self, role: Role) -> None:
        assert VERIFIER.verify(MINT.token(role.name.lower(), sub="seo")) == Principal(subject="seo", role=role)

    def test_the_highest_role_counts_and_unknown_ones_do_not(self) -> None:
        assert VERIFIER.verify(MINT.token("viewer", "emperor", "engineer")).role is Role.ENGINEER

    def test_an_audience_may_be_one_of_several(self) -> None:
        assert VERIFIER.verify(MINT.token("viewer", aud=["elsewhere", AUDIENCE])).role is Role.VIEWER

    def test_an_expired_token_says_so(self) -> None:
        with pytest.raises(NotAuthenticated) as refused:
            VERIFIER.verify(MINT.token("admin", ttl_s=-60))
        assert refused.value.code == "auth.token-expired"

    @pytest.mark.parametrize(
        "token",
        [
            TokenMint().token("admin"),
            by_another_mint_under_our_key_id(),
            bringing_its_own_key(),
            unsigned(MINT.token("admin")),
            signed_with_the_public_key_as_secret(MINT.token("admin")),
            with_other_claims(MINT.token("viewer")),
            MINT.token("admin", iss="elsewhere"),
            MINT.token("admin", iss=None),
            MINT.token("admin", aud="elsewhere"),
            MINT.token("admin", aud=None),
            MINT.token("admin", exp=None),
            MINT.token("admin", exp="soon"),
            MINT.token("admin", sub=None),
            MINT.token("admin", nbf=4_000_000_000),
            MINT.token("admin").rpartition(".")[0] + ".",
            "",
            "a.b.c",
            "not a token",
            "한글.토큰.입니다",
        ],
        ids=[
            "other-key", "other-key-under-our-id", "own-key-in-header", "alg-none", "hs256-confusion", "changed-claims",
            "other-issuer", "no-issuer", "other-audience", "no-audience", "no-expiry", "odd-expiry", "no-subject",
            "not-yet-valid", "no-signature", "empty", "dots", "words", "hangul",
        ],
    )  # fmt: skip
    def test_refuses_what_it_cannot_trust(self, token: str) -> None:
        with pytest.raises(NotAuthenticated) as refused:
            VERIFIER.verify(token)
        assert refused.value.code == "auth.token-invalid"

    @pytest.mark.parametrize("roles", [None, [], ["emperor"], "admin", {"admin": True}, [1], [["admin"]]])
    def test_a_token_without_any_of_our_roles_is_not_permitted(self, roles: object) -> None:
        with pytest.raises(NotPermitted) as refused:
            VERIFIER.verify(MINT.token(roles=roles))
        assert refused.value.code == "auth.no-role"

    @given(st.text())
    def test_no_text_at_all_is_believed(self, text: str) -> None:
        with pytest.raises(NotAuthenticated):
            VERIFIER.verify(text)

    @given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
    def test_no_three_parts_at_all_are_believed(self, parts: list[bytes]) -> None:
        with pytest.raises(NotAuthenticated):
            VERIFIER.verify(".".join(b64(part) for part in parts))

    @pytest.mark.parametrize(
        ("key", "algorithm"),
        [
            (RSAKey.generate_key(2048, {"kid": "r1", "use": "sig"}), "RS256"),
            (ECKey.generate_key("P-256", {"kid": "e1", "use": "sig"}), "ES256"),
            (OKPKey.generate_key("Ed25519", {"kid": "o1", "use": "sig"}), "EdDSA"),
        ],
        ids=["rsa", "ec", "older-name-of-ed25519"],
    )
    @pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
    def test_key_sets_of_other_identity_providers_are_read(self, key: RSAKey | ECKey | OKPKey, algorithm: str) -> None:
        published = key.as_dict(private=False) | {"x5c": ["MIIB"], "key_ops": ["verify"], "alg": algorithm}
        jwks = json.dumps({"keys": [json.loads(MINT.jwks)["keys"][0], published]})
        verifier = TokenVerifier(jwks, issuer=ISSUER, audience=AUDIENCE)
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "idp", "roles": ["admin"], "exp": 4_000_000_000}

        token = jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])

        assert verifier.verify(token).subject == "idp"
        assert verifier.verify(MINT.token("viewer")).role is Role.VIEWER

    @pytest.mark.parametrize(
        "jwks",
        [
            "",
            "[]",
            "{}",
            '{"keys":[7]}',
            '{"keys":[{"kty":"oct","k":"AAAA"}]}',
            '{"keys":[{"kty":"RSA","n":"AQAB"}]}',
            '{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":5}]}',
        ],
    )
    def test_what_is_no_set_of_public_keys_is_refused_before_any_token(self, jwks: str) -> None:
        with pytest.raises(ValidationError):
            TokenVerifier(jwks, issuer=ISSUER, audience=AUDIENCE)


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI(telemetry={"tracing": False})
    app.state.token_verifier = VERIFIER
    install_problem_handlers(app)

    @app.get("/view")
    async def view(principal: Viewer) -> str:
        return principal.subject

    @app.get("/engineer")
    async def engineer(principal: Engineer) -> str:
        return principal.subject

    @app.get("/admin")
    async def admin(principal: Admin) -> str:
        return principal.subject

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


class TestRoutes:
    @pytest.mark.parametrize(
        ("headers", "status", "code"),
        [
            ({}, 401, "auth.token-missing"),
            ({"Authorization": "Basic c29tZTpib2R5"}, 401, "auth.token-missing"),
            ({"Authorization": "Bearer "}, 401, "auth.token-missing"),
            ({"Authorization": f"Bearer {MINT.token('admin', ttl_s=-60)}"}, 401, "auth.token-expired"),
            ({"Authorization": f"Bearer {TokenMint().token('admin')}"}, 401, "auth.token-invalid"),
            ({"Authorization": f"Bearer {unsigned(MINT.token('admin'))}"}, 401, "auth.token-invalid"),
            ({"Authorization": f"Bearer {MINT.token()}"}, 403, "auth.no-role"),
            ({"Authorization": f"Bearer {MINT.token('engineer')}"}, 403, "auth.role-too-weak"),
        ],
        ids=["none", "other-scheme", "empty", "expired", "forged", "alg-none", "no-role", "too-weak"],
    )
    async def test_an_admin_route_refuses_as_problem_json(
        self, client: httpx.AsyncClient, headers: dict[str, str], status: int, code: str
    ) -> None:
        answer = await client.get("/admin", headers=headers)

        assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
        assert (answer.json()["status"], answer.json()["code"]) == (status, code)
        assert ("www-authenticate" in answer.headers) == (status == 401)

    @pytest.mark.parametrize(
        ("role", "open_routes"),
        [("viewer", ["/view"]), ("engineer", ["/view", "/engineer"]), ("admin", ["/view", "/engineer", "/admin"])],
    )
    async def test_each_role_may_do_what_the_ones_below_it_may(
        self, client: httpx.AsyncClient, role: str, open_routes: list[str]
    ) -> None:
        answers = {path: await client.get(path, headers=MINT.header(role)) for path in ("/view", "/engineer", "/admin")}

        assert [path for path, answer in answers.items() if answer.status_code == 200] == open_routes
        assert {answer.status_code for answer in answers.values()} <= {200, 403}

    async def test_a_service_without_keys_lets_nobody_in(self) -> None:
        app = FastAPI(telemetry={"tracing": False})
        install_problem_handlers(app)

        @app.get("/admin")
        async def admin(principal: Admin) -> str:
            return principal.subject

        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            answer = await client.get("/admin", headers=MINT.header("admin"))
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.no-keys")
