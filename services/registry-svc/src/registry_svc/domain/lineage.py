"""Lineage as a graph: from ratings and documents through data, job and version to proof, live traffic and charge."""

from dataclasses import dataclass, field
from enum import StrEnum


class NodeKind(StrEnum):
    """What stands in the graph."""

    SAMPLES = "samples"  # ratings, corrections and documents that were learned from: other services hold them
    DATASET_VERSION = "dataset_version"
    HELD_OUT = "held_out"
    JOB = "job"
    MODEL_VERSION = "model_version"
    FILES = "files"
    EVALUATION = "evaluation"
    EXPERIMENT = "experiment"
    DEPLOYMENT = "deployment"
    ALIAS = "alias"


class EdgeKind(StrEnum):
    """How one thing led to the next."""

    GATHERED_IN = "gathered_in"
    PART_OF = "part_of"
    LEARNED_BY = "learned_by"
    STARTED_FROM = "started_from"
    MADE = "made"
    DERIVED = "derived"
    HELD_BY = "held_by"
    JUDGED_WITH = "judged_with"
    EVALUATED_IN = "evaluated_in"
    TRIED_IN = "tried_in"
    SERVED_IN = "served_in"
    NAMED = "named"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One thing.

    Attributes:
        node_id: `<kind>:<its own id>`.
        label: For people.
        more: Path of the API that knows more of it, and walks on; None if there is none.
    """

    node_id: str
    kind: NodeKind
    label: str
    more: str | None = None


@dataclass(frozen=True, kw_only=True)
class Edge:
    """From what came before to what came of it."""

    source: str
    target: str
    kind: EdgeKind


@dataclass
class Graph:
    """A graph under construction: each node stands in it once."""

    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    edges: list[Edge] = field(default_factory=list[Edge])

    def add(self, kind: NodeKind, own_id: str, *, label: str, more: str | None = None) -> str:
        """Adds a node, and answers with its id."""
        node_id = f"{kind}:{own_id}"
        self.nodes.setdefault(node_id, Node(node_id=node_id, kind=kind, label=label, more=more))
        return node_id

    def link(self, source: str, target: str, kind: EdgeKind) -> None:
        edge = Edge(source=source, target=target, kind=kind)
        if edge not in self.edges:
            self.edges.append(edge)
