"""Brings model versions onto vLLM servers: files on disk first, then into every server of the base model."""

from registry_svc.adapters.adapter_files import AdapterFiles
from registry_svc.adapters.vllm import VllmServers
from registry_svc.domain.models import ModelVersion


class Serving:
    """Model versions on the servers."""

    def __init__(self, files: AdapterFiles, servers: VllmServers) -> None:
        self.files = files
        self.servers = servers

    async def ensure_served(self, model: ModelVersion) -> tuple[str, ...]:
        """Loads a version wherever its base model is served; what is loaded stays loaded.

        Returns:
            Servers that answer for it, in the order of the settings.

        Raises:
            ServingUnavailable: a server does not answer, or none serves the base model.
            StoreUnavailable: storage cannot be reached.
            AdapterRefused: a server does not take the adapter.
            InvalidPayload: the adapter's files are not what they should be.
        """
        backend_urls = await self.servers.backends_of(model.base_model)
        if model.artifact is not None:
            folder = await self.files.ensure(model.artifact)
            for url in backend_urls:
                await self.servers.load_adapter(url, model.served_name, folder=folder)
        return backend_urls

    async def restore(self, url: str, model: ModelVersion) -> bool:
        """Loads a version into one server again if that server has lost it.

        Returns:
            True if it had.

        Raises:
            As `ensure_served`.
        """
        if model.artifact is None:
            return False
        folder = await self.files.ensure(model.artifact)
        return await self.servers.load_adapter(url, model.served_name, folder=folder)
