"""Model files on the disk that vLLM reads: each unpacked once, into a folder named by its content, and verified there."""

import asyncio
import os
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from loopwright.archives import Bounds, unpack
from loopwright.contracts.base import Artifact
from loopwright.errors import InvalidPayload
from loopwright.storage import Storage
from registry_svc.adapters.verification import ArtefactRefused, Claim, Verifier
from registry_svc.domain.artefacts import ModelFormat, missing_files
from registry_svc.domain.proof import Policy, Proof
from registry_svc.domain.training_card import TrainingCard

_ADAPTER_BOUNDS = Bounds(files=200, size_bytes=8 << 30)  # a rank 512 adapter of a 70B model stays below
_MODEL_BOUNDS = Bounds(files=2000, size_bytes=1 << 40)
_Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Files:
    """Files that were unpacked and taken.

    Attributes:
        proof: What signature and watermark said.
        card: What trainer-svc wrote of their making; None if there is nothing readable.
    """

    folder: Path
    proof: Proof
    card: TrainingCard | None


Alarm = Callable[[Artifact, ArtefactRefused], Awaitable[None]]


class AdapterFiles:
    """Unpacked adapters and models.

    Args:
        folder: Where they lie; must be the same path for vLLM.
        verifier: Says whether files may be used; by default nothing is asked of them.
        alarm: Told once of each artefact that was refused.
    """

    def __init__(
        self, storage: Storage, folder: Path, *, verifier: Verifier | None = None, alarm: Alarm | None = None
    ) -> None:
        self._storage = storage
        self._folder = folder.resolve()
        self._verifier = verifier or Verifier(Policy.OFF)
        self._alarm = alarm
        self._verified: dict[tuple[str, str | None], tuple[_Fingerprint, Files]] = {}
        self._refused: set[tuple[str, str]] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def folder_of(self, artifact: Artifact) -> Path:
        """Where an artefact lies, or will."""
        return self._folder / artifact.sha256

    def holds(self, folder: Path) -> bool:
        """Whether a folder is one of ours."""
        return folder.parent == self._folder

    async def ensure(self, artifact: Artifact, claim: Claim, *, model_format: ModelFormat = ModelFormat.LORA) -> Files:
        """Fetches and unpacks an artefact unless it is there, and verifies it unless that was done since it changed.

        Raises:
            StoreUnavailable: storage cannot be reached.
            InvalidPayload: it is no harmless tar of a model in that format.
            ArtefactRefused: the bytes are not those that were named, or do not prove what they must.
        """
        async with self._locks[artifact.sha256]:
            try:
                return await self._ensure(artifact, claim, model_format)
            except ArtefactRefused as refused:
                await self._raise_alarm(artifact, refused)
                raise

    async def _ensure(self, artifact: Artifact, claim: Claim, model_format: ModelFormat) -> Files:
        folder = self.folder_of(artifact)
        if not await asyncio.to_thread(folder.is_dir):
            await self._unpack(artifact, folder, model_format)
        seen = await asyncio.to_thread(_fingerprint, folder)
        known = self._verified.get((artifact.sha256, claim.job_id))
        if known is not None and known[0] == seen:
            return known[1]
        proof, card = await asyncio.to_thread(self._verifier.examine, folder, claim)
        files = Files(folder=folder, proof=proof, card=card)
        self._verified[artifact.sha256, claim.job_id] = (seen, files)
        return files

    async def _unpack(self, artifact: Artifact, folder: Path, model_format: ModelFormat) -> None:
        packed = self._folder / f".{artifact.sha256}.{os.getpid()}.tar"
        bounds = _ADAPTER_BOUNDS if model_format is ModelFormat.LORA else _MODEL_BOUNDS
        try:
            await self._storage.fetch(artifact, packed)
            await asyncio.to_thread(_check_length, packed, artifact.size_bytes)
            await asyncio.to_thread(_unpack_whole, packed, folder, bounds, model_format)
        except InvalidPayload as error:
            if error.code == "storage.hash-mismatch":
                raise ArtefactRefused("artefact.hash-mismatch", f"the artefact is refused: {error.detail}") from error
            raise
        finally:
            await asyncio.to_thread(packed.unlink, missing_ok=True)

    async def _raise_alarm(self, artifact: Artifact, refused: ArtefactRefused) -> None:
        told = (artifact.sha256, refused.code)
        if self._alarm is not None and told not in self._refused:
            await self._alarm(artifact, refused)
            self._refused.add(told)


def _check_length(packed: Path, size_bytes: int) -> None:
    length = packed.stat().st_size
    if length != size_bytes:
        raise InvalidPayload("artefact.other-length", f"the artefact has {length} bytes, not {size_bytes}")


def _unpack_whole(packed: Path, folder: Path, bounds: Bounds, model_format: ModelFormat) -> None:
    """Unpacks beside its place first: what lacks a file never gets there."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.unpacked")
    try:
        unpack(packed, aside, bounds)
        missing = missing_files(model_format, (path.name for path in aside.iterdir() if path.is_file()))
        if missing:
            told = f"the tar of a {model_format} model lacks {' and '.join(missing)}"
            raise InvalidPayload("artefact.incomplete", told)
        if not folder.is_dir():  # another process may have been faster
            aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fingerprint(folder: Path) -> _Fingerprint:
    """Changes whenever somebody writes to the folder: names, lengths, times and places of its files."""
    found = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return tuple((str(path), status.st_size, status.st_ctime_ns, status.st_ino) for path, status in found)
