"""The recipe of a version: everything that its bytes depend on, and the id that follows from it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from dataset_svc.domain.samples import SplitName
from loopwright.contracts.datasets import Split
from loopwright.contracts.tasks import DataPolicy

# raise it with every change after which equal inputs give other bytes
CODE_VERSION = 4


@dataclass(frozen=True, kw_only=True)
class VersionRecipe:
    """What a version is made from, and how.

    Attributes:
        source_sha256s: Raw sources, in the order in which they are read.
        parent_version_id: Stands for all earlier versions and for the side that they put every question and group on,
            for its id follows from its own recipe; None for the first.
        read_as: Where samples are taken to come from, whatever their lines say; None to believe the lines.
        erased_units: Everybody erased by then. An erasure that touches no sample changes the recipe, not the bytes.
        case_version_ids: Versions of other datasets whose held-out cases are kept from training.
        options: Further settings by name that change bytes (column mapping, tokenizer, sides that are let go).
    """

    source_sha256s: tuple[str, ...]
    task_id: str
    dataset_name: str
    policy: DataPolicy
    parent_version_id: str | None
    read_as: str | None
    max_line_bytes: int
    erased_units: Iterable[str] = ()
    case_version_ids: Iterable[str] = ()
    options: Mapping[str, str] = field(default_factory=dict[str, str])


def recipe_sha256(recipe: VersionRecipe) -> str:
    """Equal recipes have equal hashes, on every machine and after every restart."""
    erased = hashlib.sha256("\n".join(sorted(set(recipe.erased_units))).encode()).hexdigest()
    said = {
        "code": CODE_VERSION,
        "sources": recipe.source_sha256s,
        "task": recipe.task_id,
        "dataset": recipe.dataset_name,
        "policy": recipe.policy.model_dump(mode="json"),
        "parent": recipe.parent_version_id,
        "read_as": recipe.read_as,
        "max_line_bytes": recipe.max_line_bytes,
        "erased": erased,
        "cases": sorted(set(recipe.case_version_ids)),
        "options": dict(recipe.options),
    }
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def content_sha256_of(splits: Mapping[SplitName, Split]) -> str:
    """Hash over the parts' hashes: equal contents, equally divided, have equal hashes."""
    lines = "".join(f"{name}:{splits[name].artifact.sha256}\n" for name in SplitName)
    return hashlib.sha256(lines.encode()).hexdigest()


def version_id_of(recipe: str, content: str) -> str:
    """The id of a version: the same recipe gives the same id wherever it is followed.

    Args:
        recipe: Hash of the recipe.
        content: Hash of what came of it, so that code which forgot to raise its version cannot pass for other code.
    """
    digest = hashlib.sha256(f"{recipe}\n{content}".encode()).hexdigest()
    return f"dsv-{digest[:32]}"
