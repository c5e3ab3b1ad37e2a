"""From learnable samples to an immutable, clean dataset version."""

from enum import StrEnum

from pydantic import Field

from loopwright.contracts.base import Artifact, Event, Identifier, Moment, Sha256, Share, Value
from loopwright.contracts.tasks import DataPolicy


class SampleSource(StrEnum):
    """Where a sample was learned from."""

    RATING = "rating"
    CORRECTION = "correction"
    UPLOAD = "upload"
    UPSTREAM = "upstream"


class DatasetRequested(Event):
    """Enough was learned: the samples in `source` should become the next version of a task's dataset.

    `source` is JSON Lines; a line is `{sample_id, messages, source, inference_id, rating_ids, unit_hash, weight_0_1}`.
    """

    request_id: Identifier = Field(description="id of the request; a version is made once for it")
    task_id: Identifier = Field(description="task")
    dataset_name: Identifier = Field(description="dataset that gets a new version")
    source: Artifact = Field(description="JSON Lines of raw samples")
    sample_count: int = Field(ge=1, description="lines in it")
    data_policy: DataPolicy = Field(description="how to clean and split")
    reason: str = Field(description="why now, for people")
    requested_at: Moment = Field(description="when")


class Split(Value):
    """One part of a dataset version: JSON Lines of `{sample_id, messages, ...}`."""

    artifact: Artifact = Field(description="the lines")
    samples: int = Field(ge=0, description="how many")


class DatasetValidated(Event):
    """A dataset version exists: checked, masked, de-duplicated and split; it will never change."""

    dataset_id: Identifier = Field(description="dataset")
    dataset_name: Identifier = Field(description="its name")
    version: int = Field(ge=1, description="number of the version")
    version_id: Identifier = Field(description="id of the version")
    parent_version_id: Identifier | None = Field(default=None, description="version that it grew from")
    task_id: Identifier = Field(description="task")
    request_id: Identifier = Field(description="request that it answers")
    content_sha256: Sha256 = Field(description="hash over the splits' hashes")
    train: Split = Field(description="to learn from")
    validation: Split = Field(description="to stop early by")
    held_out: Split = Field(description="to evaluate on; never enters training")
    quality_score_0_1: Share = Field(description="share of raw samples that passed every check")
    report: Artifact = Field(description="quality report, JSON")
    validated_at: Moment = Field(description="when")


class DatasetRejected(Event):
    """A request yielded nothing fit to train on."""

    request_id: Identifier = Field(description="request that it answers")
    task_id: Identifier = Field(description="task")
    dataset_name: Identifier = Field(description="dataset")
    reasons: tuple[str, ...] = Field(min_length=1, description="why, one sentence each")
    rejected_at: Moment = Field(description="when")


class UserErased(Event):
    """Somebody's data must go: from stored samples, and from every later dataset version."""

    erasure_id: Identifier = Field(description="id of the erasure")
    unit_hash: Identifier = Field(description="keyed hash of the person's unit")
    erased_at: Moment = Field(description="when it was asked for")


class DeprecationReason(StrEnum):
    """Why a dataset version must not be learned from any more."""

    ERASURE = "erasure"
    OPERATOR = "operator"


class ErasedSamples(Value):
    """How many samples of a version were one person's, by part."""

    train: int = Field(ge=0, description="in the part that models learn from")
    validation: int = Field(ge=0, description="in the part that training stops by")
    held_out: int = Field(ge=0, description="in the part that models are judged by")


class DatasetDeprecated(Event):
    """A dataset version must not be learned from any more; said again for every person whose data in it was erased.

    After an erasure its files go: what still wants to read them must be stopped.
    """

    version_id: Identifier = Field(description="id of the version")
    dataset_id: Identifier = Field(description="dataset")
    dataset_name: Identifier = Field(description="its name")
    version: int = Field(ge=1, description="number of the version")
    task_id: Identifier = Field(description="task")
    content_sha256: Sha256 = Field(description="hash over the splits' hashes, as in `dataset.validated`")
    manifest_sha256: Sha256 | None = Field(default=None, description="its rows in the history; none for old versions")
    train_sha256: Sha256 = Field(description="hash of the part to learn from")
    validation_sha256: Sha256 = Field(description="hash of the part to stop by")
    held_out_sha256: Sha256 = Field(description="hash of the part to judge by")
    reason: DeprecationReason = Field(description="`erasure` of a person's data, or an `operator`'s decision")
    detail: str = Field(description="the reason in one sentence, for people")
    erasure_id: Identifier | None = Field(default=None, description="erasure, if it was one")
    unit_hash: Identifier | None = Field(default=None, description="keyed hash of the person's unit, if it was one")
    erased_samples: ErasedSamples | None = Field(default=None, description="that person's samples, if it was one")
    deprecated_at: Moment = Field(description="when")
