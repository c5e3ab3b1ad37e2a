"""An evaluation: whose answers to which cases are compared, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loopwright.contracts.base import Artifact
from loopwright.contracts.tasks import GatePolicy
from registry_svc.domain.gate import VariantScore
from registry_svc.domain.metrics.measuring import JUDGE, Measurements
from registry_svc.domain.models import VariantId


class EvaluationKind(StrEnum):
    """Who wanted it: the gate before live traffic, or somebody who asked for held-out cases or for a suite."""

    GATE = "gate"
    REQUESTED = "requested"
    SUITE = "suite"


class EvaluationState(StrEnum):
    """Running, or ended by its result, by a change of the champion, or by what made it impossible."""

    RUNNING = "running"
    FINISHED = "finished"
    SUPERSEDED = "superseded"  # the champion changed meanwhile
    FAILED = "failed"


class Extra(StrEnum):
    """What costs further requests, and is therefore done only where it is asked for."""

    PERPLEXITY = "perplexity"
    JUDGE = "judge"
    SAFETY = "safety"
    GENERAL = "general"
    CONTAMINATION = "contamination"


class Outcome(StrEnum):
    """How a case went for the candidate; gained and lost ones went otherwise for the champion."""

    RIGHT = "right"
    WRONG = "wrong"
    CHANGED = "changed"
    GAINED = "gained"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class EvaluationFilter:
    """Which evaluations are wanted; None wants all.

    Attributes:
        variant: A version that was candidate or champion.
    """

    variant: VariantId | None = None
    task_id: str | None = None
    kind: EvaluationKind | None = None
    state: EvaluationState | None = None
    suite_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One comparison of a candidate with a champion; of a version alone where the two are the same.

    Attributes:
        job_id: Job whose model the gate judges; None for other kinds.
        suite_id: Suite that the cases are of; None for held-out cases.
        task_version: Version of the task whose schema and gate apply.
        held_out_sha256: Hash of the cases.
        cases: Where held-out cases are; None for a suite's.
        due_at: When it is looked at again; None for the gate's, which its release carries.
        waits_for: Why it could not go on when it was last tried.
        candidate_score: None until it is finished, as are the other figures.
    """

    evaluation_id: str
    task_id: str
    task_version: int
    candidate: VariantId
    champion: VariantId
    held_out_sha256: str
    started_at: datetime
    kind: EvaluationKind = EvaluationKind.GATE
    job_id: str | None = None
    suite_id: str | None = None
    cases: Artifact | None = None
    extras: frozenset[Extra] = frozenset()
    state: EvaluationState = EvaluationState.RUNNING
    attempts: int = 0
    due_at: datetime | None = None
    waits_for: str | None = None
    traceparent: str | None = None
    candidate_score: VariantScore | None = None
    champion_score: VariantScore | None = None
    mcnemar_p: float | None = None
    metrics: Measurements | None = None
    passed: bool | None = None
    reasons: tuple[str, ...] = ()
    requested_by: str = "registry-svc"
    finished_at: datetime | None = None

    @property
    def variants(self) -> tuple[VariantId, ...]:
        """Who is asked: champion and candidate, or the one that both are."""
        return tuple(dict.fromkeys((self.champion, self.candidate)))


def extras_of(policy: GatePolicy) -> frozenset[Extra]:
    """What a task's gate needs beyond the answers themselves."""
    named = {*policy.limits, policy.confident_metric}
    wanted = {
        Extra.PERPLEXITY: "perplexity" in named,
        Extra.JUDGE: JUDGE in named,
        Extra.SAFETY: policy.safety_probes,
        Extra.GENERAL: policy.max_forgotten_0_1 is not None,
        Extra.CONTAMINATION: policy.max_contaminated_0_1 is not None,
    }
    return frozenset(extra for extra, is_wanted in wanted.items() if is_wanted)
