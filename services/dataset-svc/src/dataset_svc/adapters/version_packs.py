"""The history of versions in object storage: commits new rows, opens any version, reads its lines back."""

import asyncio
import hashlib
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.origins import SampleOrigin, decode_origins
from dataset_svc.domain.versions.row_hashes import KEY_BYTES, Spans
from dataset_svc.domain.versions.row_packs import (
    Content,
    Growth,
    RowIndex,
    Snapshot,
    StoredLayer,
    StoredObject,
    StoredPack,
    as_snapshot,
    compress,
    decode_index,
    decode_manifest,
    decompress,
    encode_index,
    encode_manifest,
    hashed,
    plan_growth,
    snapshot_of,
)
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.errors import InvalidPayload
from loopwright.storage import Storage

_KIND = "dataset-history"
_PIECE_ROWS = 4096
_CACHE_BYTES = 128 << 20
_CACHED_ROWS = 2_000_000  # of 36 bytes each
_AT_ONCE = 2
MANIFEST_TYPE = "application/vnd.loopwright.version-manifest"


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A version in the store of record.

    Attributes:
        rows_added: Rows that no layer of the parent held.
        stored_bytes: What this commit added to storage, the manifest included.
    """

    manifest: Artifact
    rows_added: int
    stored_bytes: int


@dataclass(frozen=True, kw_only=True)
class Grown:
    """The rows of a version in the store of record; nothing names them yet.

    Attributes:
        layer: Of the rows that no layer of the parent held; None if there are none.
        key: Of the hashes of rows.
    """

    growth: Growth
    layer: StoredLayer | None
    key: bytes

    @property
    def layers(self) -> tuple[StoredLayer, ...]:
        """What was added."""
        return () if self.layer is None else (self.layer,)

    @property
    def stored_bytes(self) -> int:
        return sum(one.index.size_bytes + sum(pack.object.size_bytes for pack in one.packs) for one in self.layers)


class VersionPacks:
    """Commits and opens versions; remembers indexes of layers, which never change, up to 72 MB of them.

    Args:
        storage: Where packs, indexes and manifests lie, sealed if it has keys.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._indexes: OrderedDict[str, RowIndex] = OrderedDict()

    async def grow(self, parts: Mapping[SplitName, bytes], *, parent: Artifact | None) -> Grown:
        """Stores the rows that the parent's layers lack; growing twice changes nothing.

        Args:
            parts: The lines of each part's file.
            parent: Manifest of the parent, if it has one.
        """
        before = None if parent is None else await self._snapshot(parent)
        key = secrets.token_bytes(KEY_BYTES) if before is None else before.key
        growth = await asyncio.to_thread(_plan, parts, before, key)
        layer = await self._add_layer(growth) if growth.packs else None
        return Grown(growth=growth, layer=layer, key=key)

    async def commit(self, grown: Grown, splits: Mapping[SplitName, Split]) -> Committed:
        """Stores the manifest of what has grown.

        Args:
            splits: The files as stored; their hashes are what a checkout is held to.
        """
        sha256 = {name: splits[name].artifact.sha256 for name in SplitName}
        layers = [*grown.growth.kept, *grown.layers]
        content = await asyncio.to_thread(encode_manifest, layers, grown.growth.places, sha256, key=grown.key)
        manifest = await self._storage.put_bytes(content, kind=_KIND, suffix=".manifest", media_type=MANIFEST_TYPE)
        rows = len(grown.growth.index.hashes)
        return Committed(manifest=manifest, rows_added=rows, stored_bytes=grown.stored_bytes + manifest.size_bytes)

    async def open(self, manifest: Artifact) -> "OpenVersion":
        """A version from its manifest.

        Raises:
            StoreUnavailable: storage is away, or an object is gone.
            InvalidPayload: an object is not what it was.
        """
        return OpenVersion(self._storage, await self._snapshot(manifest), {})

    async def open_files(self, splits: Mapping[SplitName, Split], *, key: bytes) -> "OpenVersion":
        """A version from its files, for one that has no manifest or one of another key; it is in memory whole.

        Raises:
            StoreUnavailable: storage is away, or a file is gone.
        """
        contents = {name: await self._storage.read_bytes(splits[name].artifact) for name in SplitName}
        parts = await asyncio.to_thread(lambda: {name: hashed(content, key) for name, content in contents.items()})
        sha256 = {name: splits[name].artifact.sha256 for name in SplitName}
        return OpenVersion(self._storage, await asyncio.to_thread(snapshot_of, parts, sha256), parts)

    async def _add_layer(self, growth: Growth) -> StoredLayer:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def add(lines: Sequence[memoryview]) -> StoredObject:
            async with turns:
                return await self._put(await asyncio.to_thread(compress, lines), ".pack")

        index, *objects = await asyncio.gather(
            self._put(encode_index(growth.index), ".index"), *(add(lines) for lines in growth.packs)
        )
        self._remember(index.sha256, growth.index)
        packs = [StoredPack(object=one, rows=rows) for one, rows in zip(objects, growth.pack_rows, strict=True)]
        return StoredLayer(index=index, rows=len(growth.index.hashes), packs=tuple(packs))

    async def _put(self, content: bytes, suffix: str) -> StoredObject:
        artifact = await self._storage.put_bytes(
            content, kind=_KIND, suffix=suffix, media_type="application/octet-stream"
        )
        return StoredObject(uri=artifact.uri, sha256=artifact.sha256, size_bytes=artifact.size_bytes)

    async def _snapshot(self, manifest: Artifact) -> Snapshot:
        decoded = decode_manifest(await self._storage.read_bytes(manifest))
        return as_snapshot(decoded, [await self._index(layer.index) for layer in decoded.layers])

    async def _index(self, stored: StoredObject) -> RowIndex:
        held = self._indexes.get(stored.sha256)
        if held is not None:
            self._indexes.move_to_end(stored.sha256)
            return held
        index = decode_index(await self._storage.read_bytes(_artifact(stored)))
        self._remember(stored.sha256, index)
        return index

    def _remember(self, sha256: str, index: RowIndex) -> None:
        self._indexes[sha256] = index
        while len(self._indexes) > 1 and sum(len(held.hashes) for held in self._indexes.values()) > _CACHED_ROWS:
            self._indexes.popitem(last=False)


class OpenVersion:
    """A version whose rows can be read; recently used packs stay in memory, at most 128 MiB of them."""

    def __init__(self, storage: Storage, snapshot: Snapshot, contents: Mapping[SplitName, Content]) -> None:
        self.snapshot = snapshot
        self._storage = storage
        self._files = tuple(part.content for part in contents.values())
        self._packs = [pack for layer in snapshot.layers for pack in layer.packs]
        sizes = [pack.rows for pack in self._packs] or [len(part.hashes) for part in contents.values()]
        self._firsts = np.cumsum([0, *sizes])
        self._ends = np.concatenate(([0], np.cumsum(snapshot.index.lengths, dtype=np.int64)))
        self._cache: OrderedDict[int, bytes] = OrderedDict()

    async def texts(self, places: Sequence[int]) -> list[bytes]:
        """Lines at places of the snapshot's index, each with its line end."""
        wanted = np.array(places, dtype=np.int64)
        return [piece for row in wanted async for piece in self.pieces(np.array([row]))]

    async def lines(self, split: SplitName) -> AsyncIterator[bytes]:
        """The lines of a part's file in pieces of whole lines, some thousand each.

        Raises:
            InvalidPayload: at the end, if they are not the file's.
        """
        places, digest = self.snapshot.parts[split], hashlib.sha256()
        for first in range(0, len(places), _PIECE_ROWS):
            piece = b"".join([part async for part in self.pieces(places[first : first + _PIECE_ROWS])])
            digest.update(piece)
            yield piece
        if digest.hexdigest() != self.snapshot.sha256[split]:
            raise InvalidPayload("dataset.history-mismatch", "the packs do not give the bytes of the version's file")

    async def pieces(self, places: Spans) -> AsyncIterator[bytes]:
        """Lines at places of the snapshot's index, in that order; rows that lie together come in one piece."""
        packs = np.searchsorted(self._firsts, places, side="right") - 1
        breaks = np.flatnonzero((np.diff(places) != 1) | (np.diff(packs) != 0)) + 1
        bounds = [0, *breaks.tolist(), len(places)]
        for first, last in pairwise(bounds):
            pack = int(packs[first])
            lines, start = await self._pack(pack), self._ends[self._firsts[pack]]
            yield lines[self._ends[places[first]] - start : self._ends[places[last - 1] + 1] - start]

    async def _pack(self, number: int) -> bytes:
        if not self._packs:
            return self._files[number]
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        stored = await self._storage.read_bytes(_artifact(self._packs[number].object))
        size = int(self._ends[self._firsts[number + 1]] - self._ends[self._firsts[number]])
        lines = await asyncio.to_thread(decompress, stored, size_bytes=size)
        self._cache[number] = lines
        while len(self._cache) > 1 and sum(len(held) for held in self._cache.values()) > _CACHE_BYTES:
            self._cache.popitem(last=False)
        return lines


def _plan(parts: Mapping[SplitName, bytes], before: Snapshot | None, key: bytes) -> Growth:
    return plan_growth({name: hashed(parts[name], key) for name in SplitName}, before)


def _artifact(stored: StoredObject) -> Artifact:
    return Artifact(uri=stored.uri, sha256=stored.sha256, size_bytes=stored.size_bytes)


async def store_origins(storage: Storage, content: bytes) -> Artifact:
    """Stores what was done to each sample of a version, as `encode_origins` wrote it."""
    return await storage.put_bytes(content, kind=_KIND, suffix=".origins", media_type="application/octet-stream")


async def find_origin(storage: Storage, artifact: Artifact, sample_id: str) -> SampleOrigin | None:
    origins = await asyncio.to_thread(decode_origins, await storage.read_bytes(artifact))
    return next((origin for origin in origins if origin.sample_id == sample_id), None)


async def materialise(storage: Storage, version: OpenVersion) -> None:
    """Writes the files of a version's parts again, where they were; the hash of each is checked before it is stored.

    Raises:
        InvalidPayload: the history does not give the bytes of a file.
        StoreUnavailable: storage is away, or a pack is gone.
    """
    for split in SplitName:
        with tempfile.NamedTemporaryFile(prefix="dataset-part-") as file:
            async for piece in version.lines(split):
                await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(file.flush)
            await storage.put_file(Path(file.name), kind="datasets", suffix=".jsonl", media_type="application/jsonl")
