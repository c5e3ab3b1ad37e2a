"""Objects at rest: unreadable without the key, and never changed, reordered or cut off unnoticed."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.rotation import rotate
from loopwright.sealing import HEADER_BYTES, KeyFile, KeyRing, rewrap, seal, unseal
from loopwright.storage import Storage

FRAME = 1 << 20
SEALED = FRAME + 16


def a_ring(current: str = "one", *others: str) -> KeyRing:
    return KeyRing(current, {name: name.encode().ljust(32, b".") for name in (current, *others)})


async def in_pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def sealed(content: bytes, ring: KeyRing, *, size: int = 100_000) -> bytes:
    return b"".join([piece async for piece in seal(in_pieces(content, size), ring)])


async def opened(stored: bytes, ring: KeyRing, *, size: int = 100_000) -> bytes:
    return b"".join([piece async for piece in unseal(in_pieces(stored, size), ring)])


class TestRoundTrip:
    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=2000), st.integers(1, 500), st.integers(1, 500))
    async def test_gives_any_bytes_back_whatever_the_pieces(self, content: bytes, one: int, other: int) -> None:
        assert await opened(await sealed(content, a_ring(), size=one), a_ring(), size=other) == content

    @pytest.mark.parametrize("length", [FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 7])
    @pytest.mark.parametrize("piece", [77_777, 10 * FRAME])
    async def test_gives_frames_back_at_their_borders(self, length: int, piece: int) -> None:
        content = os.urandom(length)
        assert await opened(await sealed(content, a_ring(), size=piece), a_ring(), size=piece) == content

    @settings(max_examples=30, deadline=None)
    @given(st.binary(max_size=300))
    async def test_lets_pass_what_was_never_sealed(self, content: bytes) -> None:
        assert await opened(content, a_ring(), size=50) == content

    async def test_never_gives_the_same_bytes_twice(self) -> None:
        assert await sealed(b"same", a_ring()) != await sealed(b"same", a_ring())


class TestTampering:
    @settings(max_examples=60, deadline=None)
    @given(st.data())
    async def test_one_changed_bit_is_seen(self, data: st.DataObject) -> None:
        stored = bytearray(await sealed(b"personal" * 10, a_ring()))
        place = data.draw(st.integers(4 + 32, len(stored) - 1))
        stored[place] ^= 1 << data.draw(st.integers(0, 7))
        with pytest.raises(InvalidPayload):
            await opened(bytes(stored), a_ring())

    async def test_frames_cannot_be_cut_off(self) -> None:
        stored = await sealed(os.urandom(3 * FRAME), a_ring())
        with pytest.raises(InvalidPayload):
            await opened(stored[: HEADER_BYTES + 2 * SEALED], a_ring())

    async def test_frames_cannot_be_reordered(self) -> None:
        stored = await sealed(os.urandom(3 * FRAME), a_ring())
        head, first, second = (
            stored[:HEADER_BYTES],
            stored[HEADER_BYTES:][:SEALED],
            stored[HEADER_BYTES + SEALED :][:SEALED],
        )
        with pytest.raises(InvalidPayload):
            await opened(head + second + first + stored[HEADER_BYTES + 2 * SEALED :], a_ring())

    async def test_a_key_that_is_not_there_is_a_reason_to_wait(self) -> None:
        with pytest.raises(StoreUnavailable) as waits:
            await opened(await sealed(b"x", a_ring("old")), a_ring("new"))
        assert waits.value.code == "storage.key-missing"
        assert "'old'" in waits.value.detail


class TestRotation:
    async def test_a_rewrapped_object_opens_with_the_new_key_alone(self) -> None:
        stored = await sealed(b"personal", a_ring("old"))
        head = rewrap(stored[:HEADER_BYTES], a_ring("new", "old"))
        assert head is not None
        assert await opened(head + stored[HEADER_BYTES:], a_ring("new")) == b"personal"

    async def test_leaves_alone_what_needs_nothing(self) -> None:
        stored = await sealed(b"x", a_ring("new"))
        assert rewrap(stored[:HEADER_BYTES], a_ring("new", "old")) is None
        assert rewrap(b"p" * HEADER_BYTES, a_ring()) is None


class TestKeyFile:
    def test_sees_a_new_key_without_a_restart(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        path.write_text('{"current": "a", "keys": {"a": "' + "A" * 43 + '="}}')
        keys = KeyFile(path)
        assert keys.ring().current == "a"
        keys.write(KeyRing("b", {**keys.ring().keys, "b": b"b" * 32}))
        assert keys.ring().current == "b"
        assert path.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{}",
            '{"current": "a", "keys": {}}',
            '{"current": "a", "keys": {"a": "short"}}',
            '{"current": "a", "keys": {"a": "QUE="}}',
        ],
    )
    def test_refuses_anything_else(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "keys.json"
        path.write_text(text)
        with pytest.raises(ValueError, match=r"key"):
            KeyFile(path)


class TestStorage:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> KeyFile:
        path = tmp_path / "keys.json"
        path.write_text('{"current": "a", "keys": {"a": "' + "A" * 43 + '="}}')
        return KeyFile(path)

    async def test_writes_no_plain_byte(self, tmp_path: Path, keys: KeyFile) -> None:
        storage = Storage(f"file://{tmp_path}/root", keys)
        artifact = await storage.put_bytes("홍길동의 비밀".encode() * 100, kind="k", suffix="", media_type="text/plain")
        stored = [path.read_bytes() for path in (tmp_path / "root").rglob("*") if path.is_file()]
        assert len(stored) == 1
        assert "홍길동".encode() not in stored[0]
        assert await storage.read_bytes(artifact) == "홍길동의 비밀".encode() * 100

    async def test_a_large_file_goes_there_and_back(self, tmp_path: Path, keys: KeyFile) -> None:
        storage = Storage(f"file://{tmp_path}/root", keys)
        source = tmp_path / "source"
        source.write_bytes(os.urandom(5 * FRAME + 3))
        artifact = await storage.put_file(source, kind="k", suffix="", media_type="text/plain")
        await storage.fetch(artifact, tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == source.read_bytes()

    async def test_a_sealed_object_is_deleted_whatever_its_key(self, tmp_path: Path, keys: KeyFile) -> None:
        storage = Storage(f"file://{tmp_path}/root", keys)
        artifact = await storage.put_bytes(b"x" * 500, kind="k", suffix="", media_type="text/plain")
        await Storage(f"file://{tmp_path}/root").delete(artifact)
        assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []

    async def test_after_two_rotations_the_first_key_is_forgotten_and_not_needed(
        self, tmp_path: Path, keys: KeyFile
    ) -> None:
        storage = Storage(f"file://{tmp_path}/root", keys)
        content = os.urandom(9 * FRAME)  # rotation reads it in two ranges
        artifact = await storage.put_bytes(content, kind="k", suffix="", media_type="text/plain")
        plain = await Storage(f"file://{tmp_path}/root").put_bytes(
            b"p" * 500, kind="k", suffix="", media_type="text/plain"
        )

        assert await rotate([storage], keys, name="b", key=b"b" * 32) == (2, 1)
        assert await rotate([storage], keys, name="c", key=b"c" * 32) == (2, 1)
        assert set(keys.ring().keys) == {"b", "c"}
        assert await storage.read_bytes(artifact) == content
        assert await storage.read_bytes(plain) == b"p" * 500

    async def test_what_was_being_written_during_a_rotation_stays_readable(self, tmp_path: Path, keys: KeyFile) -> None:
        old = await sealed(b"late", keys.ring())
        await rotate([Storage(f"file://{tmp_path}/root", keys)], keys, name="b", key=b"b" * 32)
        assert await opened(old, keys.ring()) == b"late"
