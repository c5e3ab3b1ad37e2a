"""Versions get names, names move, and go."""

from dataclasses import dataclass
from datetime import datetime

import structlog

from dataset_svc.domain.versions.version_refs import RefKind, check_delete, check_move, check_new_name
from dataset_svc.store import datasets, refs
from dataset_svc.store.tables import RefRow
from loopwright.errors import Conflict
from loopwright.unit_of_work import Work

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who changes a name, when and why."""

    subject: str
    may_move_tags: bool
    reason: str
    now: datetime


@dataclass(frozen=True, kw_only=True)
class NewRef:
    """A name to be given."""

    dataset_id: str
    name: str
    kind: RefKind
    address: str


async def create_ref(unit: Work, wanted: NewRef, actor: Actor) -> None:
    """Names a version.

    Raises:
        Invalid: the name or the address is none.
        NotFound: there is no such dataset or version.
        Conflict: the name is taken.
    """
    check_new_name(wanted.name, wanted.kind)
    await datasets.get_for_change(unit.session, wanted.dataset_id)
    version = await refs.get_version_at(unit.session, wanted.dataset_id, wanted.address)
    row = RefRow(
        dataset_id=wanted.dataset_id,
        name=wanted.name,
        kind=wanted.kind,
        version_id=version.version_id,
        reason=actor.reason,
        moved_by=actor.subject,
        moved_at=actor.now,
    )
    if not await refs.add(unit.session, row):
        raise Conflict("dataset.ref-taken", "the dataset has a branch or tag of that name", name=wanted.name)


async def move_ref(unit: Work, dataset_id: str, name: str, *, address: str, actor: Actor) -> None:
    """Points a name at another version.

    Raises:
        NotFound: there is no such name or version.
        NotPermitted: it is a tag, and this is no admin.
        Conflict: it is a tag, and no reason is given.
    """
    row = await refs.get_for_change(unit.session, dataset_id, name)
    check_move(RefKind(row.kind), may_move_tags=actor.may_move_tags, reason=actor.reason)
    version = await refs.get_version_at(unit.session, dataset_id, address)
    _log.info("ref.moved", dataset_id=dataset_id, name=name, before=row.version_id, after=version.version_id)
    row.version_id, row.reason = version.version_id, actor.reason
    row.moved_by, row.moved_at = actor.subject, actor.now


async def delete_ref(unit: Work, dataset_id: str, name: str, *, actor: Actor) -> None:
    """Takes a name away; the version stays.

    Raises:
        NotFound: there is no such name.
        NotPermitted: it is a tag, and this is no admin.
        Conflict: it is a tag, and no reason is given; or it is `main`.
    """
    row = await refs.get_for_change(unit.session, dataset_id, name)
    check_delete(name, RefKind(row.kind), may_move_tags=actor.may_move_tags, reason=actor.reason)
    _log.info("ref.deleted", dataset_id=dataset_id, name=name, kind=row.kind, was_at=row.version_id, by=actor.subject)
    await refs.remove(unit.session, row)
