"""Builds run in a process of their own, large ones with helpers, so that the service answers while they work."""

import asyncio
import ctypes
import gc
import importlib.abc
import multiprocessing
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, ParamSpec, TypeVar
from weakref import WeakSet

import msgspec
import numpy as np

from dataset_svc.adapters.line_files import LineFile, copy_lines
from dataset_svc.adapters.nameless_files import nameless_file, path_of
from dataset_svc.adapters.source_files import SourceLimits, SourcePortion, open_source
from dataset_svc.adapters.token_counts import TokenCounter
from dataset_svc.domain.building import Memory, Recipe, VersionBuilder
from dataset_svc.domain.built import BuiltSplit
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.packed_builds import PackedBuild, pack
from dataset_svc.domain.preparing import PreparationRules, Prepared, Preparer
from dataset_svc.domain.sources.bad_records import reject_line
from dataset_svc.domain.sources.lines import Block, Line
from dataset_svc.domain.sources.records import Row
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.portions import Portion, measure_portion, measured_here
from dataset_svc.domain.warming import warm_up

_ALONE_BYTES = 4 << 20  # smaller sources are done before helpers would have started
_COPIED_BYTES = 8 << 20  # by one task
_TASK_S = 60.0  # no task takes longer; a helper that dies just now may leave one that nobody ends
_NICENESS = 10  # whoever asks the service goes first; helpers inherit it
_PR_SET_PDEATHSIG = 1  # prctl(2)
_encoder = msgspec.msgpack.Encoder()
_P = ParamSpec("_P")
_T = TypeVar("_T")
_decoder = msgspec.msgpack.Decoder(Prepared)


@dataclass(frozen=True, kw_only=True)
class BuildFiles:
    """Files that the builder's process can open while the build lasts.

    Attributes:
        rejects: Bad records are appended.
        parts: Takes the lines of all parts and their rows, as `PackedPart` says.
    """

    source: Path
    rejects: Path
    parts: Path


@dataclass(frozen=True, kw_only=True)
class BuildOrder:
    """One build.

    Attributes:
        size_bytes: Of the source.
        tokenizer: Folder of the task's tokenizer, if tokens are to be counted.
        title: Of the page for people.
    """

    files: BuildFiles
    source_name: str
    size_bytes: int
    limits: SourceLimits
    recipe: Recipe
    memory: Memory
    pseudonym_key: bytes | None
    tokenizer: Path | None
    title: str


class BuilderDied(Exception):
    """The builder's process ended before its build."""


class BuildProcess:
    """The builder's process; it starts once and stays.

    Args:
        helpers: Processes that prepare records of large sources; one or none prepares in the builder itself.
    """

    def __init__(self, *, helpers: int) -> None:
        self._helpers = helpers
        self._context = multiprocessing.get_context("spawn")
        self._records_read = self._context.Value("q", 0)
        self._pool: ProcessPoolExecutor | None = None

    @property
    def records_read(self) -> int:
        """Of the build that runs."""
        return self._records_read.value

    async def start(self) -> None:
        """Starts the process, which takes seconds, before somebody waits for it."""
        with suppress(BrokenProcessPool):  # whoever builds gets another one
            await asyncio.get_running_loop().run_in_executor(self._started(), _note_progress, 0)

    async def build(self, order: BuildOrder) -> PackedBuild:
        """Builds a version.

        Raises:
            Invalid: the source as a whole cannot be used.
                BuilderDied: the process died, by memory or by a signal; another attempt gets a new one.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._started(), _build, order)
        except BrokenProcessPool as error:
            self.close()
            raise BuilderDied("the process that builds versions died") from error

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, mp_context=self._context, initializer=_start_builder, initargs=(self._helpers, self._records_read)
            )
        return self._pool

    def close(self) -> None:
        """Ends the process and its helpers, whatever they do."""
        if self._pool is not None:
            for process in list(self._pool._processes.values()):  # noqa: SLF001 - there is no other way to end a task that runs
                process.kill()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


class _NoPandas(importlib.abc.MetaPathFinder):
    """Hides pandas, where other services have it installed.

    pyarrow loads it to see whether what it is given is pandas', which takes a second and 60 MB in every process.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - what import asks with
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)


class _Builder:
    """What lives in the builder's process."""

    helpers = 0
    progress: "Synchronized[int] | None" = None
    pool: ProcessPoolExecutor | None = None
    tasks: ClassVar[WeakSet["Future[Any]"]] = WeakSet()  # the pool holds those that are not done


def _start_builder(helpers: int, progress: "Synchronized[int]") -> None:
    _die_with_parent()
    os.nice(_NICENESS)
    _Builder.helpers, _Builder.progress = helpers, progress
    sys.meta_path.insert(0, _NoPandas())
    warm_up()
    _collect_seldom()
    if helpers > 1:
        _Builder.pool = _forked_helpers(helpers)


def _forked_helpers(helpers: int) -> ProcessPoolExecutor:
    """Forked while nothing runs beside: they share what is imported and compiled by now, some 150 MB each.

    Libraries that count tokens have threads, which do not survive a fork, so they are loaded later, by each for itself.
    """
    pool = ProcessPoolExecutor(helpers, mp_context=multiprocessing.get_context("fork"), initializer=_die_with_parent)
    pool.submit(_note_progress, 0)  # the first task starts all of them
    return pool


def _die_with_parent() -> None:
    """A service that is killed takes its processes along; Ctrl-C in a terminal is the service's business."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _collect_seldom() -> None:
    """Records make no cycles, and by default the collector looks through all of them every few thousand."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _build(order: BuildOrder) -> PackedBuild:
    rules = PreparationRules(
        reading=order.recipe.reading, policy=order.recipe.policy, pseudonym_key=order.pseudonym_key
    )
    with (
        order.files.source.open("rb") as file,
        order.files.rejects.open("ab") as rejects,
        nameless_file() as waiting,
    ):
        lines = LineFile(path_of(waiting))
        builder = VersionBuilder(order.recipe, order.memory, lines, threads=max(1, _Builder.helpers), gather=_measured)
        source = open_source(file, name=order.source_name, limits=order.limits, mapping=order.recipe.reading.mapping)
        _note_progress(0)
        read = 0
        try:
            for batch in _prepared(source.portions(), rules, order, lines):
                rejects.writelines(reject_line(bad.why, bad.raw) for bad in builder.add(batch))
                read += len(batch.candidates) + len(batch.bad)
                _note_progress(read)
            built = builder.finish()
            copied = _copied(built.splits.values(), order.files.parts, lines)
            packed = pack(built, LineFile(order.files.parts), title=order.title)
            for future in copied:
                future.result()
            return packed
        finally:
            _end_tasks()  # of a build that failed, before the path to its lines leads elsewhere


def _note_progress(records: int) -> None:
    if _Builder.progress is not None:
        _Builder.progress.value = records


def _prepared(
    portions: Iterable[SourcePortion], rules: PreparationRules, order: BuildOrder, lines: LineFile
) -> Iterator[Prepared]:
    """Batches in order; helpers work a few ahead of the one that is taken."""
    if _Builder.pool is None or order.size_bytes < _ALONE_BYTES:
        preparer = _preparer(pickle.dumps((rules, order.tokenizer)))
        yield from (preparer.prepare(_records(portion), lines) for portion in portions)
        return
    asked = pickle.dumps((rules, order.tokenizer))
    waiting: deque[Future[bytes]] = deque()
    for portion in portions:
        waiting.append(_ask(_Builder.pool, _prepare, asked, portion, lines))
        if len(waiting) > 2 * _Builder.helpers:
            yield _decoder.decode(waiting.popleft().result())
    while waiting:
        yield _decoder.decode(waiting.popleft().result())


def _measured(portions: Iterable[Portion], lines: Lines) -> Iterable[StatisticsBuilder]:
    """By helpers, while the builder does something else."""
    if _Builder.pool is None:
        return measured_here(portions, lines)
    asked = [_ask(_Builder.pool, measure_portion, portion, lines) for portion in portions]
    return (future.result() for future in asked)


def _copied(splits: Iterable[BuiltSplit], path: Path, lines: LineFile) -> "list[Future[None]]":
    """Copies the lines of all parts, one part after the other; helpers do it while the builder does something else."""
    places = np.concatenate([np.zeros((0, 2), dtype=np.int64), *(split.places for split in splits)])
    ends = np.cumsum(places[:, 1])
    with path.open("wb") as file:
        file.truncate(int(places[:, 1].sum()))  # what is appended comes behind them
    cuts = np.flatnonzero(np.diff(ends // _COPIED_BYTES)) + 1
    some_of = zip(np.split(places, cuts), [0, *ends[cuts - 1].tolist()], strict=True)
    if _Builder.pool is not None:
        return [_ask(_Builder.pool, copy_lines, lines, some, path, first_byte) for some, first_byte in some_of]
    for some, first_byte in some_of:
        copy_lines(lines, some, path, first_byte)
    return []


def _ask(pool: ProcessPoolExecutor, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> "Future[_T]":
    future = pool.submit(work, *args, **kwargs)
    _Builder.tasks.add(future)
    return future


def _end_tasks() -> None:
    """Waits until no helper works any more; tasks that none has begun are forgotten."""
    tasks = list(_Builder.tasks)
    for task in tasks:
        task.cancel()
    wait(tasks, timeout=_TASK_S)


def _prepare(asked: bytes, portion: SourcePortion, lines: LineFile) -> bytes:
    return _encoder.encode(_preparer(asked).prepare(_records(portion), lines))


def _records(portion: SourcePortion) -> Iterable[Line | Row]:
    return portion.lines() if isinstance(portion, Block) else portion


@lru_cache(maxsize=1)
def _preparer(asked: bytes) -> Preparer:
    """For the rules and tokenizer that were asked for; batches of one build ask for the same."""
    rules, tokenizer = pickle.loads(asked)  # noqa: S301 - our own bytes, from our own process
    assert isinstance(rules, PreparationRules)
    return Preparer(rules, None if tokenizer is None else _token_counter(tokenizer).count_utf_8)


@lru_cache(maxsize=1)
def _token_counter(folder: Path) -> TokenCounter:
    """Loading takes a second, and what it has counted serves builds by other rules too."""
    return TokenCounter.load(folder)
