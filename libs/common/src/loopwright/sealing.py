"""Encryption at rest: every object under a data key of its own, every data key wrapped by a key that can be changed.

An object is a header and frames of a mebibyte, each encrypted with AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar,
Rogaway and Vizár 2015): a frame's nonce holds its number and whether it is the last, so frames can be neither reordered nor cut off.
"""

import base64
import binascii
import json
import os
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loopwright.ahead import beside
from loopwright.errors import InvalidPayload, StoreUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MAGIC = b"LPW\x01"
KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_ID_BYTES = 32
_WRAPPED_BYTES = _NONCE_BYTES + KEY_BYTES + _TAG_BYTES
_PREFIX_BYTES = 7
_FRAME_BYTES = 1 << 20
_SEALED_BYTES = _FRAME_BYTES + _TAG_BYTES
HEADER_BYTES = len(_MAGIC) + _KEY_ID_BYTES + _WRAPPED_BYTES + _PREFIX_BYTES


@dataclass(frozen=True)
class KeyRing:
    """The keys that wrap data keys.

    Attributes:
        current: Name of the key that new objects get.
        keys: Keys of 32 bytes by name, at most 32 bytes of ASCII; older ones stay to read what they sealed.
    """

    current: str
    keys: dict[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError(f"the current key {self.current!r} is not among the keys")
        for name, key in self.keys.items():
            if not (name.isascii() and 0 < len(name) <= _KEY_ID_BYTES and len(key) == KEY_BYTES):
                raise ValueError(f"key {name!r} is not 32 bytes under a name of 1 to {_KEY_ID_BYTES} ASCII characters")


class KeyFile:
    """A ring in a file, `{"current": name, "keys": {name: base64}}`; read again when it changes, so keys rotate under running services.

    Raises:
        ValueError: the file is something else; from every use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed_ns = -1
        self._ring = self.ring()

    def ring(self) -> KeyRing:
        changed_ns = self._path.stat().st_mtime_ns
        if changed_ns != self._changed_ns:
            self._ring, self._changed_ns = _read(self._path), changed_ns
        return self._ring

    def write(self, ring: KeyRing) -> None:
        """Replaces the file, at once for every reader."""
        keys = {name: base64.b64encode(key).decode() for name, key in ring.keys.items()}
        partial = self._path.with_name(f".{self._path.name}.partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps({"current": ring.current, "keys": keys}))
        partial.replace(self._path)


def _read(path: Path) -> KeyRing:
    try:
        content = json.loads(path.read_text())
        keys = {name: base64.b64decode(text, validate=True) for name, text in content["keys"].items()}
        return KeyRing(content["current"], keys)
    except (KeyError, TypeError, AttributeError, binascii.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is no key file: {type(error).__name__}") from error


async def seal(chunks: AsyncIterator[bytes], ring: KeyRing) -> AsyncGenerator[bytes]:
    """Encrypts a stream; holds two frames at most, and one piece of it."""
    data_key, prefix = os.urandom(KEY_BYTES), os.urandom(_PREFIX_BYTES)
    yield header_of(ring, data_key, prefix)
    cipher, number = _cipher(data_key), 0
    async for frame, last in _framed(chunks, _FRAME_BYTES):
        yield await beside(len(frame), cipher.encrypt, _nonce(prefix, number, last=last), frame, None)
        number += 1


async def unseal(chunks: AsyncIterator[bytes], ring: KeyRing) -> AsyncGenerator[bytes]:
    """Decrypts a stream that `seal` made; what never was sealed passes as it is.

    Raises:
        StoreUnavailable: sealed under a key that is not on the ring (code `storage.key-missing`).
        InvalidPayload: changed, cut off, or its header is.
    """
    begun = await _at_least(HEADER_BYTES, chunks)
    if len(begun) < HEADER_BYTES or not begun.startswith(_MAGIC):
        yield begun
        async for chunk in chunks:
            yield chunk
        return
    frames = _Frames(begun[:HEADER_BYTES], ring)
    async for frame, last in _framed(after(begun[HEADER_BYTES:], chunks), _SEALED_BYTES):
        yield await beside(len(frame), frames.open, frame, last=last)


async def after(head: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """A stream with something before it."""
    yield head
    async for chunk in rest:
        yield chunk


async def _framed(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[tuple[memoryview, bool]]:
    """Frames of `size` bytes and a last one of at most as many; with each whether it is that."""
    held: list[bytes | memoryview] = []
    held_bytes = 0
    async for chunk in chunks:
        held.append(chunk)
        held_bytes += len(chunk)
        if held_bytes <= size:  # a full frame may be the last one, so it waits for a successor
            continue
        whole = memoryview(b"".join(held))
        while len(whole) > size:
            yield whole[:size], False
            whole = whole[size:]
        held.clear()
        held.append(whole)
        held_bytes = len(whole)
    yield memoryview(b"".join(held)), True


async def _at_least(wanted_bytes: int, chunks: AsyncIterator[bytes]) -> bytes:
    got = b""
    async for chunk in chunks:
        got += chunk
        if len(got) >= wanted_bytes:
            break
    return got


def rewrap(header: bytes, ring: KeyRing) -> bytes | None:
    """The header with its data key under the current key; None if it is there already, or the object is not sealed.

    Raises:
        StoreUnavailable: it is under a key that is not on the ring.
        InvalidPayload: the header is damaged.
    """
    if not header.startswith(_MAGIC) or _key_name(header) == ring.current:
        return None
    return header_of(ring, data_key_in(header, ring), header[-_PREFIX_BYTES:])


def seal_bytes(content: bytes, ring: KeyRing, *, bound_to: bytes) -> bytes:
    """Encrypts something small under a data key of its own; it opens only for what it is bound to."""
    data_key, nonce = os.urandom(KEY_BYTES), bytes(_NONCE_BYTES)  # the key is used once, so its nonce may be fixed
    return header_of(ring, data_key) + _cipher(data_key).encrypt(nonce, content, bound_to)


def unseal_bytes(sealed: bytes, ring: KeyRing, *, bound_to: bytes) -> bytes:
    """Decrypts what `seal_bytes` made.

    Raises:
        StoreUnavailable: sealed under a key that is not on the ring (code `storage.key-missing`).
        InvalidPayload: it was changed, cut off, or is bound to something else.
    """
    header, ciphertext = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
    if not (header.startswith(_MAGIC) and len(ciphertext) >= _TAG_BYTES):
        raise InvalidPayload("storage.seal-broken", "what should be sealed is not")
    cipher = _cipher(data_key_in(header, ring))
    return _decrypted(cipher, bytes(_NONCE_BYTES), ciphertext, bound_to, otherwise="what was sealed was changed")


class _Frames:
    """Opens the frames of one object, in order."""

    def __init__(self, header: bytes, ring: KeyRing) -> None:
        self._cipher = _cipher(data_key_in(header, ring))
        self._prefix = header[-_PREFIX_BYTES:]
        self._number = 0

    def open(self, frame: memoryview, *, last: bool) -> bytes:
        nonce = _nonce(self._prefix, self._number, last=last)
        self._number += 1
        return _decrypted(self._cipher, nonce, frame, None, otherwise="the object was changed or cut off")


def header_of(ring: KeyRing, data_key: bytes, prefix: bytes = bytes(_PREFIX_BYTES)) -> bytes:
    """A data key of 32 bytes under the current key, as objects begin with it."""
    name = ring.current.encode().ljust(_KEY_ID_BYTES, b"\0")
    nonce = os.urandom(_NONCE_BYTES)
    wrapped = _cipher(ring.keys[ring.current]).encrypt(nonce, data_key, _MAGIC + name)
    return _MAGIC + name + nonce + wrapped + prefix


def _key_name(header: bytes) -> str:
    return header[len(_MAGIC) :][:_KEY_ID_BYTES].rstrip(b"\0").decode(errors="replace")


def data_key_in(header: bytes, ring: KeyRing) -> bytes:
    """The data key that a header holds.

    Raises:
        StoreUnavailable: it is under a key that is not on the ring (code `storage.key-missing`).
        InvalidPayload: the header was changed.
    """
    name = _key_name(header)
    key = ring.keys.get(name)
    if key is None:
        raise StoreUnavailable(
            "storage.key-missing", f"the object is sealed under the key {name!r}, which is not configured"
        )
    wrapped = header[len(_MAGIC) + _KEY_ID_BYTES :][:_WRAPPED_BYTES]
    nonce, ciphertext, bound_to = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], header[: len(_MAGIC) + _KEY_ID_BYTES]
    return _decrypted(_cipher(key), nonce, ciphertext, bound_to, otherwise="the object's header was changed")


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 7 MB that who only has keys does without

    return AESGCM(key)


def _decrypted(
    cipher: "AESGCM", nonce: bytes, ciphertext: bytes | memoryview, bound_to: bytes | None, *, otherwise: str
) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above

    try:
        return cipher.decrypt(nonce, ciphertext, bound_to)
    except InvalidTag as error:
        raise InvalidPayload("storage.seal-broken", otherwise) from error


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    """Seven random bytes, four that count, one that ends; 2^32 frames are 4 PiB."""
    return prefix + struct.pack(">IB", number, last)
