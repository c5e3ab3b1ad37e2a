"""Key files of the local stack, made once: pairs that sign and check tokens and artefacts, and secrets of single services."""

import base64
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

ISSUER = "loopwright-local"
AUDIENCE = "loopwright"
SECRET_BYTES = 32


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
    """

    private: Path
    public: Path
    inference: Path
    storage: Path
    pseudonyms: Path
    watermark: Path
    artefacts_private: Path
    artefacts_public: Path


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
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (keys.private.exists() and keys.public.exists()):
        _make_token_keys(keys)
    for path in (keys.inference, keys.pseudonyms, keys.watermark):
        if not path.exists():
            _write_secret(path, secrets.token_bytes(SECRET_BYTES))
    if not keys.storage.exists():
        key = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        _write_secret(keys.storage, json.dumps({"current": "key-1", "keys": {"key-1": key}}).encode())
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
