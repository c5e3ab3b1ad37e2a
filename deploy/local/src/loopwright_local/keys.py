"""Key files of the local stack, made once: pairs that sign and check tokens and artefacts, and secrets of single services."""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

ISSUER = "loopwright-local"
AUDIENCE = "loopwright"
SECRET_BYTES = 32
_SERVICE_TOKEN_S = 10 * 365 * 86_400  # as long as the pair that signs it may be used here


@dataclass(frozen=True)
class Keys:
    """Files with keys.

    Attributes:
        private: Private half of the token key (JWK); only the token command reads it.
        public: JWKS that the services check tokens with.
        inference: Secret with which the router signs inference ids.
        storage: Keys that stored objects are sealed with.
        pseudonyms: Secret behind the pseudonyms in datasets.
        watermark: Secret that marks fine-tuned weights, and finds the mark.
        artefacts_private: Key that the trainer signs with (Ed25519, PEM).
        artefacts_public: Keys that such signatures are checked with, PEM after PEM.
        callers: API keys of the router's callers, hashed.
        router_token: Token with which the router looks up similar cases.
    """

    private: Path
    public: Path
    inference: Path
    storage: Path
    pseudonyms: Path
    watermark: Path
    artefacts_private: Path
    artefacts_public: Path
    callers: Path
    router_token: Path


def ensure_keys(folder: Path) -> Keys:
    """Return the key files below `folder`, writing those that are missing."""
    keys = Keys(
        folder / "token-private.json",
        folder / "jwks.json",
        folder / "inference-signing.key",
        folder / "storage-keys.json",
        folder / "pseudonym.key",
        folder / "watermark.key",
        folder / "artefacts-private.pem",
        folder / "artefacts-public.pem",
        folder / "api-keys.json",
        folder / "router-token.jwt",
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (keys.private.exists() and keys.public.exists()):
        _make_token_keys(keys)
        keys.router_token.unlink(missing_ok=True)  # it was signed by another pair
    for path in (keys.inference, keys.pseudonyms, keys.watermark):
        if not path.exists():
            _write_secret(path, secrets.token_bytes(SECRET_BYTES))
    if not keys.storage.exists():
        key = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        _write_secret(keys.storage, json.dumps({"current": "key-1", "keys": {"key-1": key}}).encode())
    if not keys.router_token.exists():
        token = mint_token(keys, subject="router-svc", roles=("viewer",), ttl_s=_SERVICE_TOKEN_S)
        _write_secret(keys.router_token, token.encode())
    if not keys.callers.exists():
        _write_secret(keys.callers, json.dumps({"keys": []}).encode())
    if not (keys.artefacts_private.exists() and keys.artefacts_public.exists()):
        _make_artefact_keys(keys)
    return keys


def mint_token(keys: Keys, *, subject: str, roles: tuple[str, ...], ttl_s: int) -> str:
    """Return a JWT (Ed25519, RFC 9864) for `roles`, valid for `ttl_s` seconds from now; a negative one has expired already."""
    from joserfc import jwt  # noqa: PLC0415  # the supervisor does without
    from joserfc.jwk import OKPKey  # noqa: PLC0415

    key = OKPKey.import_key(json.loads(keys.private.read_text()))
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "roles": list(roles), "iat": now, "exp": now + ttl_s}
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


def make_api_key(keys: Keys, *, name: str, tenant: str | None, **limits: int | list[str] | None) -> str:
    """Return a new key for the router; only its SHA-256 is kept, under `name`, in place of an earlier key of that name.

    Args:
        limits: Further fields of the key's entry; None leaves one out.
    """
    key = f"lw_{secrets.token_urlsafe(SECRET_BYTES)}"
    entry = {"id": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), "tenant": tenant, **limits}
    others = [one for one in json.loads(keys.callers.read_text())["keys"] if one["id"] != name]
    kept = [*others, {field: value for field, value in entry.items() if value is not None}]
    partial = keys.callers.with_name(f".{keys.callers.name}.partial")
    _write_secret(partial, json.dumps({"keys": kept}, indent=1).encode())
    partial.replace(keys.callers)  # whoever reads meanwhile sees the old file or the new one
    return key


def _make_token_keys(keys: Keys) -> None:
    from joserfc.jwk import OKPKey  # noqa: PLC0415

    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"}, auto_kid=True)
    _write_secret(keys.private, json.dumps(key.as_dict(private=True)).encode())
    keys.public.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))


def _make_artefact_keys(keys: Keys) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )

    if not keys.artefacts_private.exists():
        made = Ed25519PrivateKey.generate()
        _write_secret(keys.artefacts_private, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = load_pem_private_key(keys.artefacts_private.read_bytes(), password=None)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    keys.artefacts_public.write_bytes(public)


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
