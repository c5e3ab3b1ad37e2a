"""Where MLflow and our rows differ, and what makes them agree again. Rows decide what is, and which status it has."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from registry_svc.domain.models import ModelStatus, ModelVersion, wanted_aliases

SUBJECT_TAG = "loopwright.subject"
STATUS_TAG = "loopwright.status"
UNKNOWN_TAG = "loopwright.unknown"
_OUR_ALIASES = frozenset(str(status) for status in ModelStatus)


@dataclass(frozen=True, kw_only=True)
class TrackedModel:
    """A model version in MLflow.

    Attributes:
        subject: What it is of ours; None if none of us registered it.
        status: As its tag says.
        marked_unknown: Whether we marked it as unknown to us.
    """

    name: str
    version: int
    run_id: str
    subject: str | None
    status: str | None
    marked_unknown: bool


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """Everything in MLflow's registry.

    Attributes:
        aliases: Versions by alias, by name of the model.
    """

    aliases: Mapping[str, Mapping[str, int]]
    versions: tuple[TrackedModel, ...]


class FindingKind(StrEnum):
    """How MLflow knows more than we do. Nothing of it is ever deleted."""

    FOREIGN = "foreign"  # under a name of ours, registered by somebody else
    ROW_LOST = "row_lost"  # registered by us, but our row is gone: our database was put back
    REGISTERED_TWICE = "registered_twice"  # what it is has another version, which our row points at


@dataclass(frozen=True, order=True, kw_only=True)
class Finding:
    """A version in MLflow that is not one of our rows, and why that may be."""

    model_name: str
    mlflow_version: int
    kind: FindingKind
    detail: str


@dataclass(frozen=True, order=True, kw_only=True)
class AliasMove:
    """An alias that must point elsewhere, or go.

    Attributes:
        version: Where it must point; None if it must go.
    """

    model_name: str
    alias: str
    version: int | None


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """All differences.

    Attributes:
        vanished: Our versions that MLflow does not have under the number that we know.
        statuses: Versions in MLflow by name and number whose tag must become that status.
        unmark: Versions that are marked as unknown, and are known.
    """

    vanished: tuple[ModelVersion, ...]
    findings: tuple[Finding, ...]
    alias_moves: tuple[AliasMove, ...]
    statuses: Mapping[tuple[str, int], ModelStatus]
    mark: tuple[Finding, ...]
    unmark: tuple[TrackedModel, ...]

    @property
    def none_left(self) -> bool:
        """Whether both sides say the same; findings stay, for we delete nothing."""
        return not (self.vanished or self.alias_moves or self.statuses or self.mark or self.unmark)


def compare(models: Sequence[ModelVersion], tracked: Tracked, *, pending: Collection[str]) -> Disagreement:
    """Compares our rows with MLflow.

    Args:
        pending: Subjects that are being registered: MLflow may know them before our rows do.
    """
    there = {(one.name, one.version): one for one in tracked.versions}
    ours = {(model.variant.model_name, model.mlflow_version): model for model in models}
    vanished = tuple(model for at, model in ours.items() if _subject(there.get(at)) != model.subject)
    unknown = [one for at, one in there.items() if at not in ours and one.subject not in pending]
    findings = tuple(sorted(found for one in unknown if (found := _finding(one, models)) is not None))
    found_at = {(found.model_name, found.mlflow_version) for found in findings}
    return Disagreement(
        vanished=vanished,
        findings=findings,
        alias_moves=_alias_moves(models, tracked.aliases, without={one.variant.model_name for one in vanished}),
        statuses={
            at: model.status
            for at, model in ours.items()
            if model not in vanished and there[at].status != str(model.status)
        },
        mark=tuple(one for one in findings if not there[one.model_name, one.mlflow_version].marked_unknown),
        unmark=tuple(one for at, one in there.items() if one.marked_unknown and at not in found_at),
    )


def _subject(one: TrackedModel | None) -> str | None:
    return None if one is None else one.subject


def _finding(one: TrackedModel, models: Sequence[ModelVersion]) -> Finding | None:
    """What an unknown version is; None for models that are none of our business."""
    same = next((model for model in models if model.subject == one.subject), None)
    if same is not None:
        kind, detail = FindingKind.REGISTERED_TWICE, f"{one.subject} is {same.variant} here, as {same.mlflow_uri}"
    elif one.subject is not None:
        kind, detail = FindingKind.ROW_LOST, f"registered here as {one.subject}, of which no row is left"
    elif any(model.variant.model_name == one.name for model in models):
        kind, detail = FindingKind.FOREIGN, "registered in MLflow by somebody else; register it here to use it"
    else:
        return None
    return Finding(model_name=one.name, mlflow_version=one.version, kind=kind, detail=detail)


def _alias_moves(
    models: Sequence[ModelVersion], aliases: Mapping[str, Mapping[str, int]], *, without: Collection[str]
) -> tuple[AliasMove, ...]:
    moves: list[AliasMove] = []
    for name in Counter(model.variant.model_name for model in models):
        if name in without:
            continue  # numbers change when it is registered again
        wanted = wanted_aliases(model for model in models if model.variant.model_name == name)
        present = aliases.get(name, {})
        moves += [
            AliasMove(model_name=name, alias=alias, version=version)
            for alias, version in wanted.items()
            if present.get(alias) != version
        ]
        gone = (present.keys() & _OUR_ALIASES) - wanted.keys()
        moves += [AliasMove(model_name=name, alias=alias, version=None) for alias in gone]
    return tuple(sorted(moves, key=lambda move: (move.model_name, move.alias)))
