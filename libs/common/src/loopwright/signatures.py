"""A signature over a folder of artefacts: what is in it, bit for bit, and that one of us said so (Ed25519, RFC 8032).

`signature.json` names every other file with length and SHA-256 and is signed over the canonical JSON of that list. The
public key alone verifies; a changed, missing or added file, or anything that is no plain file, is refused.
"""

import base64
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loopwright.errors import InvalidPayload

SIGNATURE_FILE = "signature.json"
_PURPOSE = b"loopwright artefacts v1\0"  # what is signed here can never pass for something else
_LARGEST_BYTES = 1 << 20  # of a signature file: room for some thousand names
_END = b"-----END PUBLIC KEY-----"


class SignedFile(BaseModel):
    """One file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str = Field(min_length=1, description="relative to the folder, parts parted by /")
    size_bytes: int = Field(ge=0, description="length")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of its content")


class Manifest(BaseModel):
    """Everything that a folder holds but its signature."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    subject: str = Field(min_length=1, max_length=200, description="what it is: the job that made it")
    files: tuple[SignedFile, ...] = Field(description="sorted by path")

    def canonical(self) -> bytes:
        """The one way to write it: sorted keys, no spaces, UTF-8 (RFC 8785 for texts and whole numbers)."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()


class Signature(BaseModel):
    """What `signature.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scheme: Literal["ed25519"] = Field(default="ed25519", description="how it is signed")
    key_id: str = Field(pattern="^[0-9a-f]{16}$", description="start of the SHA-256 of the public key")
    manifest: Manifest = Field(description="what is signed")
    signature: str = Field(description="64 bytes, base64")


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs, PKCS #8 in PEM without a password: the file's mode keeps it.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path.name} holds no private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path.name} holds no Ed25519 key")  # noqa: TRY004 - the content is wrong, not a type
    return key


def read_public_keys(path: Path) -> tuple[Ed25519PublicKey, ...]:
    """Keys that may have signed, PEM after PEM: earlier ones stay while what they signed is in use.

    Raises:
        ValueError: the file holds none, or something else.
    """
    blocks = [block.strip() + b"\n" + _END + b"\n" for block in path.read_bytes().split(_END)[:-1]]
    try:
        keys = [load_pem_public_key(block) for block in blocks]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path.name} holds something else than public keys") from error
    found = tuple(key for key in keys if isinstance(key, Ed25519PublicKey))
    if not found or len(found) < len(keys):
        raise ValueError(f"{path.name} holds something else than Ed25519 public keys")
    return found


def key_id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def sign_folder(folder: Path, key: Ed25519PrivateKey, *, subject: str) -> Signature:
    """Writes `signature.json`, the last file that a folder gets.

    Raises:
        InvalidPayload: the folder holds something else than plain files.
        OSError: it cannot be read or written.
    """
    partial = folder / f".{SIGNATURE_FILE}.partial"
    partial.unlink(missing_ok=True)
    manifest = Manifest(subject=subject, files=tuple(_described(folder)))
    signed = base64.b64encode(key.sign(_PURPOSE + manifest.canonical())).decode()
    signature = Signature(key_id=key_id_of(key.public_key()), manifest=manifest, signature=signed)
    partial.write_text(signature.model_dump_json(indent=1) + "\n")
    partial.replace(folder / SIGNATURE_FILE)
    return signature


def verify_folder(folder: Path, keys: tuple[Ed25519PublicKey, ...]) -> Manifest:
    """Checks that a folder is what somebody with one of the keys signed. Nobody may write to it meanwhile.

    Returns:
        What it holds. Whether its subject is the expected one is for the caller to say.

    Raises:
        InvalidPayload: it is not; the code says why (`signature.missing`, `.unreadable`, `.key-unknown`, `.wrong`,
            `.file-changed`, `.file-missing`, `.file-added`, `.no-plain-file`).
    """
    signature = _read(folder / SIGNATURE_FILE)
    manifest = signature.manifest
    key = next((key for key in keys if key_id_of(key) == signature.key_id), None)
    if key is None:
        raise InvalidPayload("signature.key-unknown", f"signed by the key {signature.key_id}, which is not trusted")
    try:
        key.verify(base64.b64decode(signature.signature, validate=True), _PURPOSE + manifest.canonical())
    except (InvalidSignature, ValueError) as error:
        raise InvalidPayload("signature.wrong", "the signature does not belong to the list of files") from error
    _compare(manifest, folder)
    return manifest


def _compare(manifest: Manifest, folder: Path) -> None:
    promised = {file.path: file for file in manifest.files}
    lengths = {name: path.stat().st_size for name, path in _plain_files(folder)}
    for name in sorted(lengths.keys() - promised.keys()):
        raise InvalidPayload("signature.file-added", f"{name} is not among the signed files")
    for name in sorted(promised.keys() - lengths.keys()):
        raise InvalidPayload("signature.file-missing", f"{name} was signed and is not there")
    for name, file in promised.items():
        # lengths first: a file that grew is refused unread
        if lengths[name] != file.size_bytes or _sha256(folder / name) != file.sha256:
            raise InvalidPayload("signature.file-changed", f"{name} is not the file that was signed")


def _read(path: Path) -> Signature:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_BYTES:
            raise InvalidPayload("signature.unreadable", f"{path.name} is no plain file of reasonable length")
        return Signature.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InvalidPayload("signature.missing", "nothing is signed here") from error
    except ValidationError as error:
        raise InvalidPayload("signature.unreadable", f"{path.name} holds no signature") from error


def _described(folder: Path) -> Iterator[SignedFile]:
    for name, path in _plain_files(folder):
        yield SignedFile(path=name, size_bytes=path.stat().st_size, sha256=_sha256(path))


def _plain_files(folder: Path) -> list[tuple[str, Path]]:
    """Every file below a folder but its own signature, sorted by name; links are never followed.

    Raises:
        InvalidPayload: there is something else, such as a link.
    """
    found: list[tuple[str, Path]] = []
    for root, folders, files in os.walk(folder, onerror=_raise):
        for name in (*folders, *files):
            path = Path(root, name)
            mode = path.lstat().st_mode
            relative = path.relative_to(folder).as_posix()
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InvalidPayload("signature.no-plain-file", f"{relative} is a link or a device, not a file")
            if stat.S_ISREG(mode) and relative != SIGNATURE_FILE:
                found.append((relative, path))
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error  # os.walk would leave out what it cannot read


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
