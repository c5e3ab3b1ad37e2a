"""Objects in a local folder: named by content, checked on reading, and never outside the root."""

import asyncio
import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopwright.contracts.base import Artifact
from loopwright.errors import InvalidPayload, PlatformError, StoreUnavailable
from loopwright.storage import Storage

TEXT = "text/plain"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return tmp_path / "root"


@pytest.fixture
def storage(root: Path) -> Storage:
    return Storage(f"file://{root}")


def claiming(uri: str, content: bytes) -> Artifact:
    """An artifact whose hash is right, so that only the place can be wrong."""
    return Artifact(uri=uri, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def spoil(artifact: Artifact) -> None:
    Path(artifact.uri.removeprefix("file://")).write_bytes(b"wrong")


def files_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_bytes_come_back_under_a_name_made_of_their_hash(storage: Storage, root: Path) -> None:
    artifact = await storage.put_bytes("한글".encode(), kind="notes", suffix=".txt", media_type=TEXT)

    digest = hashlib.sha256("한글".encode()).hexdigest()
    assert artifact.uri == f"file://{root}/notes/{digest[:2]}/{digest}.txt"
    assert (artifact.sha256, artifact.size_bytes, artifact.media_type) == (digest, 6, TEXT)
    assert await storage.read_bytes(artifact) == "한글".encode()


async def test_the_same_bytes_are_stored_once(storage: Storage, root: Path) -> None:
    first = await storage.put_bytes(b"same", kind="k", suffix="", media_type=TEXT)
    second = await storage.put_bytes(b"same", kind="k", suffix="", media_type=TEXT)

    assert first == second
    assert len(files_below(root)) == 1


async def test_others_go_on_while_much_is_hashed(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    gone_on = threading.Event()

    def hashed(content: bytes) -> object:
        assert gone_on.wait(timeout=5)
        return hashlib.sha256(content)

    monkeypatch.setattr("loopwright.storage.hashlib", SimpleNamespace(sha256=hashed))
    storing = asyncio.create_task(storage.put_bytes(bytes(1 << 20), kind="k", suffix="", media_type=TEXT))
    await asyncio.sleep(0)
    gone_on.set()
    assert (await storing).sha256 == hashlib.sha256(bytes(1 << 20)).hexdigest()


async def test_a_file_larger_than_a_chunk_goes_there_and_back(storage: Storage, tmp_path: Path) -> None:
    source, target = tmp_path / "big", tmp_path / "new" / "folder" / "big"
    source.write_bytes(os.urandom(3 << 20) + b"end")

    artifact = await storage.put_file(source, kind="adapters", suffix=".tar", media_type="application/x-tar")
    await storage.fetch(artifact, target)

    assert target.read_bytes() == source.read_bytes()
    assert artifact.size_bytes == source.stat().st_size
    assert [path.name for path in target.parent.iterdir()] == ["big"]


@pytest.mark.parametrize("said_bytes", [2_999, 3_000, 1])
@pytest.mark.parametrize("range_bytes", [999, 1_000, 1_001, 1_500, 2_999, 3_000, 3_001])
async def test_an_object_is_read_in_ranges_whatever_size_was_said(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, range_bytes: int, said_bytes: int
) -> None:
    monkeypatch.setattr("loopwright.storage._RANGE_BYTES", range_bytes)
    content = os.urandom(3_000)
    artifact = await storage.put_bytes(content, kind="k", suffix="", media_type=TEXT)

    assert await storage.read_bytes(artifact.model_copy(update={"size_bytes": said_bytes})) == content


async def test_pieces_of_a_large_object_are_small(storage: Storage) -> None:
    content = os.urandom((9 << 20) + 1)
    artifact = await storage.put_bytes(content, kind="k", suffix="", media_type=TEXT)

    pieces = [piece async for piece in storage.chunks(artifact)]

    assert b"".join(pieces) == content
    assert max(map(len, pieces)) == 1 << 20


async def test_an_empty_object_is_an_object(storage: Storage) -> None:
    artifact = await storage.put_bytes(b"", kind="k", suffix="", media_type=TEXT)
    assert await storage.read_bytes(artifact) == b""


class TestWrongBytes:
    async def test_reading_refuses_bytes_that_were_not_named(self, storage: Storage) -> None:
        artifact = await storage.put_bytes(b"right", kind="k", suffix="", media_type=TEXT)
        spoil(artifact)

        with pytest.raises(InvalidPayload) as refused:
            await storage.read_bytes(artifact)
        assert refused.value.code == "storage.hash-mismatch"

    async def test_fetching_leaves_neither_the_file_nor_a_part_of_it(self, storage: Storage, tmp_path: Path) -> None:
        artifact = await storage.put_bytes(b"right", kind="k", suffix="", media_type=TEXT)
        spoil(artifact)
        target = tmp_path / "target" / "file"

        with pytest.raises(InvalidPayload):
            await storage.fetch(artifact, target)
        assert list(target.parent.iterdir()) == []

    async def test_fetching_does_not_touch_what_was_there(self, storage: Storage, tmp_path: Path) -> None:
        artifact = await storage.put_bytes(b"right", kind="k", suffix="", media_type=TEXT)
        spoil(artifact)
        target = tmp_path / "file"
        target.write_bytes(b"old")

        with pytest.raises(InvalidPayload):
            await storage.fetch(artifact, target)
        assert target.read_bytes() == b"old"

    async def test_an_object_that_is_not_there_is_tried_again_later(self, storage: Storage, root: Path) -> None:
        with pytest.raises(StoreUnavailable):
            await storage.read_bytes(claiming(f"file://{root}/k/aa/none", b""))


class TestDeleting:
    async def test_an_object_is_gone_and_its_neighbours_stay(self, storage: Storage) -> None:
        gone = await storage.put_bytes(b"gone", kind="k", suffix="", media_type=TEXT)
        stays = await storage.put_bytes(b"stays", kind="k", suffix="", media_type=TEXT)

        await storage.delete(gone)

        with pytest.raises(StoreUnavailable) as refused:
            await storage.read_bytes(gone)
        assert refused.value.code == "storage.object-missing"
        assert await storage.read_bytes(stays) == b"stays"

    async def test_an_object_can_be_named_by_its_uri_alone(self, storage: Storage, root: Path) -> None:
        await storage.delete((await storage.put_bytes(b"gone", kind="k", suffix="", media_type=TEXT)).uri)
        assert files_below(root) == []

    async def test_deleting_again_changes_nothing(self, storage: Storage) -> None:
        artifact = await storage.put_bytes(b"x", kind="k", suffix="", media_type=TEXT)
        await storage.delete(artifact)
        await storage.delete(artifact)

    async def test_an_object_that_stays_there_all_the_same_is_tried_again_later(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        artifact = await storage.put_bytes(b"x", kind="k", suffix="", media_type=TEXT)

        async def do_nothing(_: str) -> None:
            return

        monkeypatch.setattr(storage._store, "delete_async", do_nothing)
        with pytest.raises(StoreUnavailable) as refused:
            await storage.delete(artifact)
        assert refused.value.code == "storage.not-deleted"

    async def test_the_same_bytes_can_be_stored_again(self, storage: Storage) -> None:
        artifact = await storage.put_bytes(b"x", kind="k", suffix="", media_type=TEXT)
        await storage.delete(artifact)
        assert await storage.put_bytes(b"x", kind="k", suffix="", media_type=TEXT) == artifact
        assert await storage.read_bytes(artifact) == b"x"

    async def test_a_folder_is_no_object(self, storage: Storage, root: Path) -> None:
        artifact = await storage.put_bytes(b"x", kind="k", suffix="", media_type=TEXT)
        for place in (
            f"file://{root}/",
            f"file://{root}/k/",
            f"file://{root}/k",
            f"file://{root}/k/{artifact.sha256[:2]}",
        ):
            with pytest.raises((InvalidPayload, StoreUnavailable)):
                await storage.delete(place)
        assert await storage.read_bytes(artifact) == b"x"


class TestForeignPlaces:
    @pytest.mark.parametrize(
        "uri",
        [
            "file://{root}/../secret.txt",
            "file://{root}/k/../../secret.txt",
            "file://{root}/%2e%2e/secret.txt",
            "file://{root}/%2E%2E%2Fsecret.txt",
            "file://{root}/..%2fsecret.txt",
            "file://{root}/./../secret.txt",
            "file://{root}/..\\secret.txt",
            "file://{root}//{parent}/secret.txt",
            "file://{root}",
            "file://{root}/",
            "file://{parent}/secret.txt",
            "file://{root}x/secret.txt",
            "{parent}/secret.txt",
            "s3://elsewhere/secret.txt",
            "http://elsewhere/secret.txt",
            "",
        ],
    )
    async def test_nothing_outside_the_root_is_read(self, storage: Storage, root: Path, uri: str) -> None:
        place = uri.format(root=root, parent=root.parent)
        with pytest.raises((InvalidPayload, StoreUnavailable)):
            await storage.read_bytes(claiming(place, b"secret"))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(st.sampled_from(["..", ".", "", "k", "%2e%2e", "\\", "secret.txt", "\0", "~"]), max_size=6))
    async def test_no_path_leads_out(self, storage: Storage, root: Path, steps: list[str]) -> None:
        with pytest.raises(PlatformError):
            await storage.read_bytes(claiming(f"file://{root}/" + "/".join([*steps, "secret.txt"]), b"secret"))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(st.sampled_from(["..", ".", "", "k", "%2e%2e", "\\", "\0", "~"]), max_size=6))
    async def test_nothing_outside_the_root_is_deleted(self, storage: Storage, root: Path, steps: list[str]) -> None:
        with suppress(PlatformError):
            await storage.delete(f"file://{root}/" + "/".join([*steps, "secret.txt"]))
        assert (root.parent / "secret.txt").read_bytes() == b"secret"

    @pytest.mark.parametrize(
        "uri", ["file://{parent}/secret.txt", "{parent}/secret.txt", "s3://elsewhere/secret.txt", ""]
    )
    async def test_deleting_elsewhere_is_refused(self, storage: Storage, root: Path, uri: str) -> None:
        with pytest.raises(InvalidPayload):
            await storage.delete(uri.format(parent=root.parent))
        assert (root.parent / "secret.txt").exists()

    async def test_a_name_without_its_root_is_no_address(self, storage: Storage, root: Path) -> None:
        artifact = await storage.put_bytes(b"x", kind="k", suffix="", media_type=TEXT)
        bare = artifact.model_copy(update={"uri": artifact.uri.removeprefix(f"file://{root}/")})
        with pytest.raises(InvalidPayload):
            await storage.read_bytes(bare)

    async def test_nothing_outside_the_root_is_written(self, storage: Storage, root: Path) -> None:
        with pytest.raises(ValueError, match="illegal"):
            await storage.put_bytes(b"x", kind="../outside", suffix="", media_type=TEXT)
        assert not (root.parent / "outside").exists()


def test_other_schemes_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="neither file"):
        Storage("gopher://hole")
