"""Datasets and versions are deprecated and archived, by a person or because somebody's data must go."""

from datetime import UTC, datetime

import structlog

from dataset_svc.domain.versions.lifecycle import Status, check_change, is_before
from dataset_svc.handlers.deprecations import announce_decision, announce_erasure, doom_files
from dataset_svc.store import datasets, erasures, groups, questions
from dataset_svc.store.tables import DatasetRow, VersionRow
from loopwright.contracts.datasets import UserErased
from loopwright.unit_of_work import Work

_log = structlog.get_logger()


async def change_dataset_status(unit: Work, dataset_id: str, *, wanted: Status, reason: str) -> None:
    """Changes a dataset and, as far as they are not there or beyond already, its versions; an archived one takes no more.

    Others are told of every version that is not to be learned from any more.

    Raises:
        NotFound: there is no such dataset.
        Conflict: it is there or beyond already.
    """
    dataset = await datasets.get_for_change(unit.session, dataset_id)
    check_change(Status(dataset.status), wanted)
    dataset.status, dataset.status_reason = wanted, reason
    for version in await datasets.list_versions_for_change(unit.session, dataset_id):
        if is_before(Status(version.status), wanted):
            _change(unit, version, dataset, wanted=wanted, reason=reason)


async def change_version_status(unit: Work, version_id: str, *, wanted: Status, reason: str) -> None:
    """Changes a version; its contents stay what they are. Others are told when it is not to be learned from any more.

    Raises:
        NotFound: there is no such version.
        Conflict: it is there or beyond already.
    """
    version = await datasets.get_version_for_change(unit.session, version_id)
    check_change(Status(version.status), wanted)
    dataset = await unit.session.get_one(DatasetRow, version.dataset_id)
    _change(unit, version, dataset, wanted=wanted, reason=reason)


def _change(unit: Work, version: VersionRow, dataset: DatasetRow, *, wanted: Status, reason: str) -> None:
    was_active = version.status == Status.ACTIVE
    version.status, version.status_reason = wanted, reason
    if was_active:
        announce_decision(unit, version, dataset, reason=reason, now=datetime.now(UTC))


async def erase_unit(unit: Work, event: UserErased) -> None:
    """Leaves a person out of every later version. Those that hold the person's samples are marked, and their files go."""
    session = unit.session
    await erasures.lock(session)
    await erasures.add(session, unit_hash=event.unit_hash, erasure_id=event.erasure_id, erased_at=event.erased_at)
    now = datetime.now(UTC)
    reason = f"holds samples of a person whose data was erased (erasure {event.erasure_id})"
    holdings = await erasures.mark_versions(
        session, unit_hash=event.unit_hash, erasure_id=event.erasure_id, erased_at=now
    )
    marked = await datasets.deprecate_versions_of_unit(session, event.unit_hash, reason=reason)
    for holding in holdings:
        announce_erasure(unit, holding, event, reason=reason, now=now)
    await doom_files(unit, holdings, reason=reason)
    await questions.forget_questions_of_unit(session, event.unit_hash)
    await groups.forget_groups_of_unit(session, event.unit_hash)
    _log.info("unit.erased", erasure_id=event.erasure_id, versions_deprecated=marked)
