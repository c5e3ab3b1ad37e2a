"""Which whole models should be served by a vLLM of their own, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loopwright.errors import Conflict
from loopwright.unit_of_work import Work
from registry_svc.domain.launching import ModelServer, ServerState, check_memory
from registry_svc.domain.models import ModelVersion
from registry_svc.store.model_servers import find_server, forget_server, list_servers, lock_servers, save_server
from registry_svc.store.models import get_model, list_variants
from registry_svc.store.wanted import wanted_variants


@dataclass(frozen=True, kw_only=True)
class LaunchLimits:
    """Room for whole models on this machine.

    Attributes:
        ports: Where their servers may listen.
        budget_bytes: Most bytes of weights in all; None: no limit is known.
    """

    ports: Sequence[int]
    budget_bytes: int | None


async def want_server(model: ModelVersion, work: Work, *, limits: LaunchLimits) -> ModelServer:
    """Has a server started for a version, if there is none yet.

    Raises:
        Conflict: no port is free, or its weights do not fit beside the others.
    """
    await lock_servers(work.session)
    known = await find_server(work.session, model.served_name, lock=True)
    if known is not None and known.wanted:
        return known
    if known is not None:  # on its way out: its process and port are still there
        raise Conflict("serving.still-stopping", f"the last server of {model.variant} is still being stopped")
    servers = await list_servers(work.session)
    others = await list_variants(work.session, [server.variant for server in servers])
    sizes = [one.artifact.size_bytes for one in others.values() if one.artifact is not None]
    assert model.artifact is not None, "a whole model has files"
    check_memory(model.artifact.size_bytes, others_bytes=sum(sizes), budget_bytes=limits.budget_bytes)
    taken = {server.port for server in servers}
    port = next((one for one in limits.ports if one not in taken), None)
    if port is None:
        raise Conflict("serving.ports-exhausted", f"all {len(taken)} ports for servers of whole models are taken")
    now = datetime.now(UTC)
    server = ModelServer(
        served_name=model.served_name, variant=model.variant, port=port, wanted=True, state=ServerState.WAITING,
        pid=None, process_start=None, failures=0, reason="it is about to be started", due_at=now, updated_at=now,
    )  # fmt: skip
    await save_server(work.session, server)
    return server


async def servers_to_keep(work: Work) -> tuple[tuple[ModelServer, ModelVersion], ...]:
    """Every server with its version."""
    return tuple([(one, await get_model(work.session, one.variant)) for one in await list_servers(work.session)])


async def dismiss_server(server: ModelServer, work: Work) -> bool:
    """Has a server stopped whose version nothing names any more; False if something does."""
    await lock_servers(work.session)
    if server.variant in await wanted_variants(work.session):
        return False
    await keep_server(replace(server, wanted=False), work)
    return True


async def keep_server(server: ModelServer, work: Work) -> None:
    """Saves what became of a server."""
    await save_server(work.session, replace(server, updated_at=datetime.now(UTC)))


async def remove_server(server: ModelServer, work: Work) -> None:
    await forget_server(work.session, server.served_name)
