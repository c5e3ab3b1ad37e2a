"""HTTP door of lineage: where a sample came from, and where a person's data is."""

from fastapi import APIRouter

from dataset_svc.api.doors import Door
from dataset_svc.api.paths import SampleId, UnitHash, VersionId
from dataset_svc.queries.lineage import ErasureView, LineageView, complete_lineage, read_erasure, read_lineage_facts
from loopwright.auth import Engineer, Viewer
from loopwright.pages import Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/admin/training", tags=["lineage"], responses=ADMIN_PROBLEMS)


@routes.get("/datasets/versions/{version_id}/samples/{sample_id}/lineage")
async def get_lineage(_: Viewer, door: Door, version_id: VersionId, sample_id: SampleId) -> LineageView:
    async with door.work() as unit:
        facts = await read_lineage_facts(unit, version_id, sample_id)
    return await complete_lineage(facts, door.storage)


@routes.get("/erasures/{unit_hash}")
async def get_erasure(_: Engineer, door: Door, unit_hash: UnitHash, part: Part) -> ErasureView:
    """Every version that holds a person, whether erasure was asked for or not."""
    async with door.work() as unit:
        return await read_erasure(unit, unit_hash, part)
