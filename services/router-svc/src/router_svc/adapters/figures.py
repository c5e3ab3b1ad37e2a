"""The figures of all workers as one: each writes its own to a file of a common folder, and whoever is asked adds them up.

What a worker counted stays when it ends: its successor goes on from its file. Nothing is shown that no file holds, so a
counter never falls, whichever worker is asked and whichever dies.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import structlog
from prometheus_client import REGISTRY
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_WRITE_S = 2.0
_EARLIEST = ("_created", "_start_time_seconds")
_GREATEST = ("_info", "_max_fds")
_COUNTED = frozenset({"counter", "histogram", "summary"})

_Labels = tuple[tuple[str, str], ...]
_Samples = dict[tuple[str, _Labels], float]
_log = structlog.get_logger()


class _Family(msgspec.Struct, frozen=True):
    """One metric as it is written; samples have a name, labels and a value."""

    name: str
    text: str
    kind: str
    samples: list[tuple[str, _Labels, float]]


class _Figures(msgspec.Struct, frozen=True):
    """What one worker knows, and what its predecessors counted."""

    pid: int
    families: list[_Family]
    earlier: list[_Family]

    def counted(self) -> list[list[_Family]]:
        """What remains when the worker has ended: how much memory it took does not."""
        return [[family for family in self.families if family.kind in _COUNTED], self.earlier]

    def known(self) -> list[list[_Family]]:
        return [self.families, self.earlier] if _lives(self.pid) else self.counted()


_decoder = msgspec.json.Decoder(_Figures)


class SharedFigures(Collector):
    """The sum over all workers.

    Args:
        folder: Common to the workers of one router, and as old as it.
        number: Of this worker; its predecessors had the same.
        own: What this process alone has counted.
    """

    def __init__(self, folder: Path, *, number: int, own: Collector = REGISTRY) -> None:
        self._folder = folder
        self._path = folder / f"{number}.json"
        self._own = own
        found = _read(self._path)
        earlier = [] if found is None else [_family_of(metric) for metric in _added(found.counted())]
        self._earlier = msgspec.Raw(msgspec.json.encode(earlier))
        self._writes = 0

    async def run(self) -> None:
        """Writes now and then, and at the end: what is not written is lost with the process."""
        try:
            while True:
                await self._write_gently()
                await asyncio.sleep(_WRITE_S)
        finally:
            self._write([_family_of(metric) for metric in self._own.collect()])

    def collect(self) -> Iterator[Metric]:
        self._write([_family_of(metric) for metric in self._own.collect()])
        found = [figures for path in sorted(self._folder.glob("*.json")) if (figures := _read(path)) is not None]
        yield from _added([part for figures in found for part in figures.known()])

    async def _write_gently(self) -> None:
        """Lets requests in between: all at once takes milliseconds."""
        writes, families = self._writes, list[_Family]()
        for metric in self._own.collect():
            families.append(_family_of(metric))
            await asyncio.sleep(0)
        if writes == self._writes:  # else newer ones were written meanwhile
            self._write(families)

    def _write(self, families: list[_Family]) -> None:
        self._writes += 1
        partial = self._path.with_suffix(".new")
        try:
            partial.write_bytes(
                msgspec.json.encode({"pid": os.getpid(), "families": families, "earlier": self._earlier})
            )
            partial.replace(self._path)
        except OSError as error:  # a disk that refuses costs only this
            _log.error("figures.unwritten", reason=repr(error))


def _read(path: Path) -> _Figures | None:
    try:
        return _decoder.decode(path.read_bytes())
    except FileNotFoundError:
        return None


def _family_of(metric: Metric) -> _Family:
    samples = [(sample.name, tuple(sorted(sample.labels.items())), sample.value) for sample in metric.samples]
    return _Family(metric.name, metric.documentation, metric.type, samples)


def _added(parts: list[list[_Family]]) -> Iterator[Metric]:
    known: dict[str, _Family] = {}
    values: Mapping[str, _Samples] = defaultdict(dict)
    for family in (family for families in parts for family in families):
        known.setdefault(family.name, family)
        samples = values[family.name]
        for name, labels, value in family.samples:
            before = samples.get((name, labels))
            samples[name, labels] = value if before is None else _together(name, before, value)
    for family in known.values():
        metric = Metric(family.name, family.text, family.kind)
        for (name, labels), value in values[family.name].items():
            metric.add_sample(name, dict(labels), value)
        yield metric


def _together(name: str, one: float, other: float) -> float:
    """Of two workers' values: counts, sizes and loads add up, but not dates and what is true of each alike."""
    if name.endswith(_EARLIEST):
        return min(one, other)
    if name.endswith(_GREATEST):
        return max(one, other)
    return one + other


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
