"""The quality report and the statistics of a version, read back from storage."""

from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.statistics.figures import Statistics
from loopwright.contracts.base import Artifact
from loopwright.storage import Storage


async def read_report(artifact: Artifact, storage: Storage) -> QualityReport:
    return QualityReport.model_validate_json(await storage.read_bytes(artifact))


async def read_statistics(artifact: Artifact, storage: Storage) -> Statistics:
    return Statistics.model_validate_json(await storage.read_bytes(artifact))
