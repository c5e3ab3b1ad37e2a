"""The quality report of a build, read back from storage."""

from dataset_svc.domain.report import QualityReport
from loopwright.contracts.base import Artifact
from loopwright.storage import Storage


async def read_report(artifact: Artifact, storage: Storage) -> QualityReport:
    return QualityReport.model_validate_json(await storage.read_bytes(artifact))
