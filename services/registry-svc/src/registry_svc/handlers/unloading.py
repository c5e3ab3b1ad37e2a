"""Takes adapters out of a server that nobody needs any more, unless somebody begins to need them at this moment."""

from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.serving import Serving
from registry_svc.domain.models import VariantId
from registry_svc.store.replicas import lock_adapter
from registry_svc.store.wanted import wanted_variants


async def unload_unwanted(url: str, variant: VariantId, *, work: WorkFactory, serving: Serving, name: str) -> bool:
    """Unloads an adapter that is neither deployed nor held.

    The one call to a server inside a transaction: whoever wants the adapter waits for its end, and loads it again.

    Returns:
        False if it is needed after all.

    Raises:
        ServingUnavailable: the server does not answer.
    """
    async with work() as unit:
        await lock_adapter(unit.session, variant)
        if variant in await wanted_variants(unit.session):
            return False
        await serving.servers.unload_adapter(url, name)
        return True
