"""From upstream records to samples, in runs of bounded parts, outside of what takes records in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from pydantic import ValidationError

from feedback_svc.domain.collecting import Counts, tally
from feedback_svc.domain.samples import Draft, settle
from feedback_svc.domain.sources.catalogue import SOURCES, Misfit, read_record
from feedback_svc.domain.sources.source import Filtered, Group, Heard, Outcome, Source, Teaching
from feedback_svc.domain.subjects import inferences_in
from feedback_svc.store.collections import Run, RunState, add_run, advance_run, finish_run
from feedback_svc.store.erasures import hold_off
from feedback_svc.store.inputs import Asked, find_asked
from feedback_svc.store.records import RecordOrigin
from feedback_svc.store.source_records import (
    Arrival,
    KeptRecord,
    RecordState,
    agreement_of,
    list_arrivals,
    list_newest,
    read_groups,
)
from feedback_svc.store.source_samples import Collected, list_collected, save_collected, withdraw
from feedback_svc.store.tasks import Task, find_task
from loopwright.contracts.base import ChatMessage, JsonObject
from loopwright.contracts.datasets import SampleSource
from loopwright.contracts.tasks import PromptTemplate, SourcePolicy
from loopwright.errors import Invalid
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work

_RECORDS, _BATCHES = 100, 4  # of one part: either may have a megabyte


@dataclass(frozen=True, kw_only=True)
class Read:
    """What records of a part say.

    Attributes:
        kinds: Of the records that are new.
        persons: Whom a teaching is of, by its key.
    """

    kinds: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    persons: Mapping[str, str]


async def ask_for_run(
    task: Task, policy: SourcePolicy, work: Work, *, why: tuple[str, str], now: datetime
) -> str | None:
    """Asks for a run of one source; None if one is under way.

    Raises:
        Invalid: there is no such source, or it has no such options.
    """
    checked_source(policy)
    return await add_run(work.session, task.task_id, policy.source, options=policy.options, why=why, now=now)


def checked_source(policy: SourcePolicy) -> Source:
    """The source that a task declares.

    Raises:
        Invalid: there is none of that name, or it has no such options.
    """
    source = SOURCES.get(policy.source)
    if source is None:
        known = ", ".join(SOURCES)
        raise Invalid("learn.unknown-source", f"there is no source {policy.source} (known: {known})")
    try:
        source.read_options(policy.options)
    except ValidationError as error:
        fields = ", ".join(".".join(str(part) for part in entry["loc"]) for entry in error.errors()[:5])
        raise Invalid("learn.wrong-options", f"{policy.source} does not take these options: {fields}") from error
    return source


async def collect_part(run: Run, work: Work, *, now: datetime) -> bool:
    """Takes a run one part further; the same records never make two samples, whatever crashed before.

    Returns:
        Whether there is more to do.
    """
    source = SOURCES[run.source]
    await hold_off(work.session)
    task = await find_task(work.session, run.task_id)
    most = _RECORDS if source.schemas else _BATCHES
    arrivals = await list_arrivals(work.session, run.source, after=run.position, at_most=most)
    if task is None or not arrivals:
        await finish_run(work.session, run.run_id, RunState.SUCCEEDED, now=now)
        return False
    read = await _read(source, arrivals, run.options, work, now=now)
    formed, withdrawn = await _keep(task, source, read, work, now=now)
    counts = run.counts.plus(tally(read.kinds, read.outcomes, formed=formed, withdrawn=withdrawn))
    await advance_run(work.session, run, position=arrivals[-1].position, counts=counts)
    return True


async def preview(policy: SourcePolicy, work: Work, *, now: datetime) -> tuple[Counts, tuple[Teaching, ...]]:
    """What the newest records of a source would teach, without anything being kept.

    Raises:
        Invalid: as `checked_source`.
    """
    source = checked_source(policy)
    arrivals = await list_newest(work.session, policy.source, at_most=_RECORDS if source.schemas else _BATCHES)
    read = await _read(source, arrivals, policy.options, work, now=now)
    taught = tuple(one for one in read.outcomes if isinstance(one, Teaching))
    return tally(read.kinds, read.outcomes, formed=len(taught)), taught


async def _read(source: Source, arrivals: Sequence[Arrival], options: JsonObject, work: Work, *, now: datetime) -> Read:
    """What these records, and all that is known of what they are about, teach."""
    groups = await read_groups(work.session, source.name, {one.group_key for one in arrivals})
    heard = {key: tuple(_all_heard(records)) for key, records in groups.items()}
    asked = await find_asked(work.session, {name for one in chain(*heard.values()) for name in one.inferences})
    inputs = {inference_id: one.input for inference_id, one in asked.items() if one.input is not None}
    reliability = await _reliability(source, chain(*heard.values()), work)
    declared = source.read_options(options)
    outcomes: list[Outcome] = [
        Filtered(key=one.group_key, reason=one.state) for one in arrivals if one.state is not RecordState.FITS
    ]
    for key in sorted(heard):
        group = Group(key=key, heard=heard[key], inputs=inputs, reliability_0_1=reliability)
        outcomes += source.teach(group, declared, now) if group.heard else ()
    owned = [(one, _persons(one, asked)) for one in outcomes]
    return Read(
        kinds=tuple(one.kind for one in arrivals),
        outcomes=tuple(
            one if len(persons) <= 1 else Filtered(key=one.key, reason="several-persons") for one, persons in owned
        ),
        persons={one.key: next(iter(persons)) for one, persons in owned if len(persons) == 1},
    )


def _persons(outcome: Outcome, asked: Mapping[str, Asked]) -> frozenset[str]:
    """Whom a teaching is of. A sample can be erased for one person only, so there may be no more."""
    if isinstance(outcome, Filtered):
        return frozenset()
    origin = outcome.origin
    owners = {asked[inference_id].unit_hash for inference_id in origin.inferences if inference_id in asked}
    return (origin.subjects - origin.inferences) | owners


def _all_heard(records: Iterable[KeptRecord]) -> Iterator[Heard]:
    """Records that still say something, and still fit: a later release may ask more of them than the one that checked."""
    for record in records:
        if record.origin == RecordOrigin.LOG and isinstance(record.content, list):
            yield Heard(
                kind=record.kind, record_id=record.record_id, published_at=record.published_at,
                batch=tuple(record.content),
            )  # fmt: skip
        elif record.content is not None:
            with suppress(Misfit):
                yield Heard(
                    kind=record.kind, record_id=record.record_id, published_at=record.published_at,
                    said=read_record(record.kind, record.content), subjects=record.subjects,
                    inferences=inferences_in(record.content),
                )  # fmt: skip


async def _reliability(source: Source, heard: Iterable[Heard], work: Work) -> dict[str, float]:
    """How often each rater agrees with others; one of whom little is known counts as half."""
    claims = [one.said.claim for one in heard if one.said is not None]
    raters = {claim[0] for claim in claims if claim is not None}
    agreement = await agreement_of(work.session, source.name, raters) if raters else {}
    return {rater: (same + 1) / (of + 2) for rater, (same, of) in agreement.items()}  # Laplace's rule of succession


async def _keep(task: Task, source: Source, read: Read, work: Work, *, now: datetime) -> tuple[int, int]:
    """Brings samples in line with what was read; returns how many were formed and taken back."""
    keys = {one.key for one in read.outcomes}
    kept = await list_collected(work.session, task.task_id, source.name, keys)
    fresh: list[Collected] = []
    stale: list[str] = []
    for one in {one.key: one for one in read.outcomes}.values():
        collected = _collected(one, task.policies.prompt, read) if isinstance(one, Teaching) else None
        change = settle(collected.draft if collected else None, kept[one.key])
        if collected is not None and change.save is not None:
            fresh.append(collected)
        if change.withdraw is not None:
            stale.append(change.withdraw)
    if stale:
        await withdraw(work.session, stale, now=now)
    trace = current_traceparent()
    await save_collected(work.session, fresh, task.task_id, source.name, traceparent=trace, now=now)
    return len(fresh), len(stale)


def _collected(teaching: Teaching, prompt: PromptTemplate, read: Read) -> Collected:
    system = (ChatMessage(role="system", content=prompt.system),) if prompt.system else ()
    user = ChatMessage(role="user", content=prompt.user.replace("{input}", teaching.input))
    return Collected(
        draft=Draft(
            answer=teaching.answer, source=SampleSource.UPSTREAM, rating_ids=(), weight_0_1=teaching.weight_0_1,
            input=teaching.input,
        ),
        key=teaching.key,
        messages=(*system, user),
        record_ids=teaching.origin.records,
        subjects=teaching.origin.subjects,
        unit_hash=read.persons.get(teaching.key),
        rater=teaching.rater,
        metadata=teaching.metadata,
    )  # fmt: skip
