"""Adapters on the disk that vLLM reads: each unpacked once, into a folder named by its content."""

import asyncio
import os
import shutil
import tarfile
from pathlib import Path

from loopwright.contracts.base import Artifact
from loopwright.errors import InvalidPayload
from loopwright.storage import Storage

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_LARGEST_BYTES = 8 << 30  # unpacked; a rank 512 adapter of a 70B model stays below
_MOST_FILES = 200


class AdapterFiles:
    """Unpacked adapters.

    Args:
        folder: Where they lie; must be the same path for vLLM.
    """

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage = storage
        self._folder = folder.resolve()

    def folder_of(self, artifact: Artifact) -> Path:
        """Where an adapter lies, or will."""
        return self._folder / artifact.sha256

    async def ensure(self, artifact: Artifact) -> Path:
        """Fetches and unpacks an adapter unless it is there.

        Returns:
            A folder with `adapter_config.json` and `adapter_model.safetensors`.

        Raises:
            StoreUnavailable: storage cannot be reached.
            InvalidPayload: the bytes are not those that were named, or not a harmless tar of an adapter.
        """
        folder = self.folder_of(artifact)
        if await asyncio.to_thread(folder.is_dir):
            return folder
        packed = self._folder / f".{artifact.sha256}.{os.getpid()}.tar"
        try:
            await self._storage.fetch(artifact, packed)
            await asyncio.to_thread(_unpack, packed, folder)
        finally:
            await asyncio.to_thread(packed.unlink, missing_ok=True)
        return folder


def _unpack(packed: Path, folder: Path) -> None:
    """Unpacks into a folder that appears whole or not at all."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        with tarfile.open(packed) as archive:
            members = archive.getmembers()
            _check_members(members)
            for member in members:
                member.mode = 0o644 if member.isreg() else 0o755  # vLLM may run under another account
            # "data" refuses whatever else could leave the folder, and takes set-uid bits away (PEP 706)
            archive.extractall(partial, members=members, filter="data")
        missing = [name for name in (_CONFIG, _WEIGHTS) if not (partial / name).is_file()]
        if missing:
            raise InvalidPayload("adapter.incomplete", f"the adapter's tar lacks {' and '.join(missing)}")
        partial.rename(folder)
    except tarfile.TarError as error:
        raise InvalidPayload("adapter.unsafe", f"the adapter's tar cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_members(members: list[tarfile.TarInfo]) -> None:
    if len(members) > _MOST_FILES or sum(member.size for member in members) > _LARGEST_BYTES:
        raise InvalidPayload("adapter.too-large", "the adapter's tar holds too many files or bytes")
    for member in members:
        if not (member.isreg() or member.isdir()):
            raise InvalidPayload("adapter.unsafe", f"the adapter's tar holds {member.name}, neither file nor folder")
        if member.name.startswith("/") or ".." in member.name.split("/"):
            raise InvalidPayload("adapter.unsafe", f"the adapter's tar holds {member.name}, which leaves its folder")
