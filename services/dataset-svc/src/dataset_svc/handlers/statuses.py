"""Datasets and versions are deprecated and archived, by a person or because somebody's data must go."""

import structlog

from dataset_svc.domain.versions.lifecycle import Status, check_change
from dataset_svc.store import datasets, erasures, questions
from loopwright.contracts.datasets import UserErased
from loopwright.unit_of_work import Work

_log = structlog.get_logger()


async def change_dataset_status(unit: Work, dataset_id: str, *, wanted: Status, reason: str) -> None:
    """Changes a dataset; an archived one takes no further versions.

    Raises:
        NotFound: there is no such dataset.
        Conflict: it is there or beyond already.
    """
    row = await datasets.get_for_change(unit.session, dataset_id)
    check_change(Status(row.status), wanted)
    row.status, row.status_reason = wanted, reason


async def change_version_status(unit: Work, version_id: str, *, wanted: Status, reason: str) -> None:
    """Changes a version; its contents stay what they are.

    Raises:
        NotFound: there is no such version.
        Conflict: it is there or beyond already.
    """
    row = await datasets.get_version_for_change(unit.session, version_id)
    check_change(Status(row.status), wanted)
    row.status, row.status_reason = wanted, reason


async def erase_unit(unit: Work, event: UserErased) -> None:
    """Leaves a person out of every later version, and marks the versions that hold the person's samples."""
    session = unit.session
    await erasures.lock(session)
    await erasures.add(session, unit_hash=event.unit_hash, erasure_id=event.erasure_id, erased_at=event.erased_at)
    reason = f"holds samples of a person whose data was erased (erasure {event.erasure_id})"
    marked = await datasets.deprecate_versions_of_unit(session, event.unit_hash, reason=reason)
    await questions.forget_questions_of_unit(session, event.unit_hash)
    _log.info("unit.erased", erasure_id=event.erasure_id, versions_deprecated=marked)
