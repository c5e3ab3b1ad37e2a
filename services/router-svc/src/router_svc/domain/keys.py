"""API keys as an operator writes them down.

A key is never written down itself, only its SHA-256: keys are 256 random bits, so nothing slower is needed (NIST SP
800-63B 5.1.1.2 asks for slow hashes of what people choose). Who compares digests learns nothing from the time it takes.
"""

import hashlib
from datetime import datetime
from typing import Annotated

import msgspec

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
