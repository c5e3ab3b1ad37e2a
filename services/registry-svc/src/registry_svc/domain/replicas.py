"""What a vLLM server has loaded, and how that differs from what it should have."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """One model that a server lists.

    Attributes:
        adapter: Whether it is a LoRA adapter; a base model otherwise.
        ours: Whether it was loaded from our adapters' folder; anything else is left alone.
        probed_at: When it last had to write a token; None before that.
        probe_ms: How long that took; None if it failed.
        probe_problem: Why the probe failed; None if it did not.
    """

    name: str
    adapter: bool
    ours: bool
    probed_at: datetime | None = None
    probe_ms: float | None = None
    probe_problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One vLLM server as it was seen last.

    Attributes:
        problem: Why it could not be asked; None if it answered.
        capacity: Most adapters at once; None if nobody says.
        capacity_source: `setting`, `metrics` or `unknown`.
    """

    url: str
    problem: str | None
    models: tuple[LoadedModel, ...]
    capacity: int | None
    capacity_source: str
    seen_at: datetime

    @property
    def adapters(self) -> tuple[LoadedModel, ...]:
        return tuple(model for model in self.models if model.adapter)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(model.name for model in self.models)


def lacks_room(adapters: int, *, capacity: int | None) -> bool:
    """Whether one more adapter would be one too many."""
    return capacity is not None and adapters >= capacity


def leaving(replica: Replica, wanted: AbstractSet[str]) -> tuple[LoadedModel, ...]:
    """Adapters of ours that nothing needs any more."""
    return tuple(model for model in replica.adapters if model.ours and model.name not in wanted)


def drift(replica: Replica, *, wanted: Iterable[str], wanted_anywhere: AbstractSet[str]) -> tuple[str, ...]:
    """How a server differs from what it should be, one sentence each.

    Args:
        wanted: Names that it should answer for.
        wanted_anywhere: Names that any task wants of any server.
    """
    if replica.problem is not None:
        return (f"cannot be asked: {replica.problem}",)
    missing = [f"{name} is not loaded" for name in sorted(set(wanted) - replica.names)]
    failing = [
        f"{model.name} is loaded, but does not answer: {model.probe_problem}"
        for model in replica.models
        if model.probe_problem is not None
    ]
    unneeded = [f"{model.name} is loaded, and leaves" for model in leaving(replica, wanted_anywhere)]
    foreign = [
        f"{model.name} is not ours, and is left alone"
        for model in replica.adapters
        if not model.ours and model.name not in wanted_anywhere
    ]
    return (*missing, *failing, *unneeded, *foreign)
