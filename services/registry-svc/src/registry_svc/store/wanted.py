"""What must stay loaded: everything that is deployed, and what somebody is about to deploy."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from registry_svc.domain.models import VariantId
from registry_svc.store.deployments import list_deployments
from registry_svc.store.models import list_variants
from registry_svc.store.replicas import list_held


async def wanted_variants(session: AsyncSession) -> frozenset[VariantId]:
    deployed = frozenset(variant for one in await list_deployments(session) for variant in one.variants)
    return deployed | await list_held(session, datetime.now(UTC))


async def wanted_names(session: AsyncSession) -> frozenset[str]:
    """As `wanted_variants`, by the names under which vLLM knows them."""
    models = await list_variants(session, await wanted_variants(session))
    return frozenset(model.served_name for model in models.values())
