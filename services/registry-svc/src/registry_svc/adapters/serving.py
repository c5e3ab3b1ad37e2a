"""Brings model versions onto vLLM servers: files on disk first, then into every server of the base model."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from loopwright.contracts.base import Artifact
from loopwright.errors import Conflict
from registry_svc.adapters.adapter_files import AdapterFiles
from registry_svc.adapters.verification import Claim
from registry_svc.adapters.vllm import ServedModel, VllmServers
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.launching import is_adapter
from registry_svc.domain.models import ModelVersion
from registry_svc.domain.replicas import lacks_room


class ServerFull(Conflict):
    """A server has as many adapters as it can hold.

    Attributes:
        url: Of the server.
    """

    def __init__(self, url: str, *, wanted: str, capacity: int) -> None:
        super().__init__(
            "serving.capacity-exhausted",
            f"{url} holds {capacity} adapters, its most, and all of them are in use: {wanted} finds no room",
            server=url, capacity=capacity,
        )  # fmt: skip
        self.url = url


class Serving:
    """Model versions on the servers.

    Args:
        max_loras: Most adapters in one server; None: what the server's metrics say.
    """

    def __init__(self, files: AdapterFiles, servers: VllmServers, *, max_loras: int | None = None) -> None:
        self.files = files
        self.servers = servers
        self._max_loras = max_loras

    async def capacity(self, url: str) -> tuple[int | None, str]:
        """Most adapters in a server, and who says so: `setting`, `metrics` or `unknown`."""
        if self._max_loras is not None:
            return self._max_loras, "setting"
        said = await self.servers.most_adapters(url)
        return said, "unknown" if said is None else "metrics"

    async def ensure_served(self, model: ModelVersion) -> tuple[str, ...]:
        """Loads a version wherever its base model is served and has it answer; what is loaded stays loaded.

        Returns:
            Servers that answered for it, in the order of the settings.

        Raises:
            ServingUnavailable: a server does not answer, or none serves the base model.
            StoreUnavailable: storage cannot be reached.
            ServerFull: a server has no room for the adapter.
            AdapterRefused: a server does not take the adapter, or does not answer for it.
            InvalidPayload: the adapter's files are not what they should be.
            ArtefactRefused: they are not what was signed.
        """
        listed = await self.servers.listed_by(model.base_model)
        folder = None if model.artifact is None else await self._folder_of(model, model.artifact)
        # one after the other would add up every server's seconds; the first failure speaks for all
        await asyncio.gather(*(self._ensure_at(url, models, model, folder=folder) for url, models in listed.items()))
        return tuple(listed)

    async def restore(self, url: str, model: ModelVersion) -> bool:
        """Loads a version into one server again if that server has lost it.

        Returns:
            True if it had.

        Raises:
            As `ensure_served`, but a full server is no reason not to try: what is in charge must be served.
        """
        if model.artifact is None or not is_adapter(model):
            return False
        folder = await self._folder_of(model, model.artifact)
        return await self.servers.load_adapter(url, model.served_name, folder=folder)

    async def weights_of(self, model: ModelVersion) -> Path:
        """What a vLLM of its own reads for a version, verified: its folder, or its GGUF file.

        Raises:
            As `ensure_served`, as far as it speaks of files.
        """
        assert model.artifact is not None, "only base models have no files of their own"
        folder = await self._folder_of(model, model.artifact)
        return await asyncio.to_thread(_weights_in, folder) if model.format is ModelFormat.GGUF else folder

    def is_ours(self, folder: str | None) -> bool:
        """Whether an adapter was loaded from our folder."""
        return folder is not None and self.files.holds(Path(folder))

    async def _folder_of(self, model: ModelVersion, artifact: Artifact) -> Path:
        """Verified before every deployment, as long as it lies where others could write."""
        claim = Claim(job_id=model.job_id, base_model=model.base_model)
        return (await self.files.ensure(artifact, claim, model_format=model.format)).folder

    async def _ensure_at(
        self, url: str, listed: Sequence[ServedModel], model: ModelVersion, *, folder: Path | None
    ) -> None:
        # a busy server takes its time over every call: what is listed as it should be is not asked for again
        roots = {one.id: one.root for one in listed}
        if folder is not None and roots.get(model.served_name) != str(folder):
            if model.served_name not in roots:
                await self._check_room(url, listed, model)
            await self.servers.load_adapter(url, model.served_name, folder=folder)
        await self.servers.probe(url, model.served_name)

    async def _check_room(self, url: str, listed: Sequence[ServedModel], model: ModelVersion) -> None:
        adapters = sum(one.parent is not None for one in listed)
        capacity, _ = await self.capacity(url)
        if capacity is not None and lacks_room(adapters, capacity=capacity):
            raise ServerFull(url, wanted=str(model.variant), capacity=capacity)


def _weights_in(folder: Path) -> Path:
    """The GGUF file of a folder that was checked to hold one."""
    return min(folder.glob("*.gguf"))
