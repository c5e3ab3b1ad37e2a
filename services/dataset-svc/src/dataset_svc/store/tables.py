"""Tables of the schema `dataset`, as classes."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import RootModel
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.columns import Part
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.contracts.tasks import DataPolicy
from loopwright.database import AsJson, messaging_tables
from loopwright.sealed_columns import data_keys_table

_Time = sa.DateTime(timezone=True)


class Base(DeclarativeBase):
    metadata = sa.MetaData(schema="dataset")


class MappingDocument(RootModel[dict[Part, str]]):
    """Which columns hold what, as a column of JSON keeps it."""


class RowsDocument(RootModel[dict[SplitName, list[int]]]):
    """Positions in the files of a version's parts, as a column of JSON keeps them."""


class DatasetRow(Base):
    """A name under which versions of one task's data grow."""

    __tablename__ = "datasets"

    dataset_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text, unique=True)
    task_id: Mapped[str] = mapped_column(sa.Text)
    description: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[str] = mapped_column(sa.Text)
    status_reason: Mapped[str | None] = mapped_column(sa.Text)
    created_by: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_Time)


class RequestRow(Base):
    """Somebody asked for a version, or what one would be: the queue of builds, and its history."""

    __tablename__ = "requests"
    __table_args__ = (
        sa.Index("ix_requests_pending", "next_attempt_at", postgresql_where=sa.text("state = 'pending'")),
    )

    request_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    task_id: Mapped[str] = mapped_column(sa.Text)
    dataset_name: Mapped[str] = mapped_column(sa.Text)
    description: Mapped[str] = mapped_column(sa.Text)
    origin: Mapped[str] = mapped_column(sa.Text)
    requested_by: Mapped[str] = mapped_column(sa.Text)
    requested_at: Mapped[datetime] = mapped_column(_Time)
    reason: Mapped[str] = mapped_column(sa.Text)
    source: Mapped[Artifact] = mapped_column(AsJson(Artifact))
    sample_count: Mapped[int | None] = mapped_column(sa.Integer)
    data_policy: Mapped[DataPolicy] = mapped_column(AsJson(DataPolicy))
    traceparent: Mapped[str | None] = mapped_column(sa.Text)
    source_name: Mapped[str] = mapped_column(sa.Text, server_default="")
    mapping: Mapped[MappingDocument | None] = mapped_column(AsJson(MappingDocument))
    purpose: Mapped[str] = mapped_column(sa.Text, server_default="version")
    rejects: Mapped[Artifact | None] = mapped_column(AsJson(Artifact))
    state: Mapped[str] = mapped_column(sa.Text)
    attempts: Mapped[int] = mapped_column(sa.Integer)
    records_read: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(_Time)
    rejected_because: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    report: Mapped[Artifact | None] = mapped_column(AsJson(Artifact))
    finished_at: Mapped[datetime | None] = mapped_column(_Time)


class UploadRow(Base):
    """A file that arrives in pieces, over hours and restarts if it must."""

    __tablename__ = "uploads"
    __table_args__ = (sa.Index("ix_uploads_receiving", "touched_at", postgresql_where=sa.text("state = 'receiving'")),)

    upload_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    filename: Mapped[str] = mapped_column(sa.Text)
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str] = mapped_column(sa.Text)
    task_id: Mapped[str] = mapped_column(sa.Text)
    dataset_name: Mapped[str] = mapped_column(sa.Text)
    description: Mapped[str] = mapped_column(sa.Text)
    data_policy: Mapped[DataPolicy] = mapped_column(AsJson(DataPolicy))
    mapping: Mapped[MappingDocument | None] = mapped_column(AsJson(MappingDocument))
    state: Mapped[str] = mapped_column(sa.Text)
    received_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    created_by: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_Time)
    touched_at: Mapped[datetime] = mapped_column(_Time)
    request_id: Mapped[str | None] = mapped_column(sa.Text)


class UploadPieceRow(Base):
    """A piece of an upload that is in storage."""

    __tablename__ = "upload_pieces"

    upload_id: Mapped[str] = mapped_column(
        sa.ForeignKey("dataset.uploads.upload_id", ondelete="CASCADE"), primary_key=True
    )
    first_byte: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    artifact: Mapped[Artifact] = mapped_column(AsJson(Artifact))


class VersionRow(Base):
    """An immutable version; only its status may change. Without a manifest its files are all that there is of it.

    Once it is erased its files are gone, and its manifest names packs without the rows of the person.
    """

    __tablename__ = "versions"
    __table_args__ = (sa.UniqueConstraint("dataset_id", "number"),)

    version_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    dataset_id: Mapped[str] = mapped_column(sa.ForeignKey("dataset.datasets.dataset_id"))
    number: Mapped[int] = mapped_column(sa.Integer)
    parent_version_id: Mapped[str | None] = mapped_column(sa.ForeignKey("dataset.versions.version_id"))
    request_id: Mapped[str] = mapped_column(sa.ForeignKey("dataset.requests.request_id"), unique=True)
    content_sha256: Mapped[str] = mapped_column(sa.Text)
    recipe_sha256: Mapped[str | None] = mapped_column(sa.Text)
    manifest: Mapped[Artifact | None] = mapped_column(AsJson(Artifact))
    origins: Mapped[Artifact | None] = mapped_column(AsJson(Artifact))
    statistics: Mapped[Artifact | None] = mapped_column(AsJson(Artifact))
    page: Mapped[Artifact | None] = mapped_column(AsJson(Artifact))
    train: Mapped[Split] = mapped_column(AsJson(Split))
    validation: Mapped[Split] = mapped_column(AsJson(Split))
    held_out: Mapped[Split] = mapped_column(AsJson(Split))
    report: Mapped[Artifact] = mapped_column(AsJson(Artifact))
    quality_score_0_1: Mapped[float] = mapped_column(sa.Double)
    status: Mapped[str] = mapped_column(sa.Text)
    status_reason: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_Time)
    erased_at: Mapped[datetime | None] = mapped_column(_Time)


class RefRow(Base):
    """A branch or tag: a name of a version, and who put it there last."""

    __tablename__ = "refs"

    dataset_id: Mapped[str] = mapped_column(sa.ForeignKey("dataset.datasets.dataset_id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    version_id: Mapped[str] = mapped_column(sa.ForeignKey("dataset.versions.version_id"))
    reason: Mapped[str] = mapped_column(sa.Text)
    moved_by: Mapped[str] = mapped_column(sa.Text)
    moved_at: Mapped[datetime] = mapped_column(_Time)


class SampleRow(Base):
    """Where one sample of a version came from; its text is line `position` of the part's file.

    It is written in the transaction of its version, and versions never go, so that no foreign key is checked row by row.
    """

    __tablename__ = "samples"
    __table_args__ = (
        sa.Index(
            "ix_dataset_samples_group_sha256", "group_sha256", postgresql_where=sa.text("group_sha256 IS NOT NULL")
        ),
        sa.Index("ix_dataset_samples_unit_hash", "unit_hash", postgresql_where=sa.text("unit_hash IS NOT NULL")),
    )

    version_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    sample_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    split: Mapped[str] = mapped_column(sa.Text)
    position: Mapped[int] = mapped_column(sa.Integer)
    content_sha256: Mapped[str] = mapped_column(sa.Text)
    question_sha256: Mapped[str] = mapped_column(sa.Text, index=True)
    group_sha256: Mapped[str | None] = mapped_column(sa.Text)
    source: Mapped[str] = mapped_column(sa.Text)
    inference_id: Mapped[str | None] = mapped_column(sa.Text)
    rating_ids: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    unit_hash: Mapped[str | None] = mapped_column(sa.Text)
    weight_0_1: Mapped[float] = mapped_column(sa.Double)


class QuestionRow(Base):
    """A question that a version of the dataset holds, sealed, and the side of the split that it is on for good."""

    __tablename__ = "questions"

    dataset_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    question_sha256: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    split: Mapped[str] = mapped_column(sa.Text)
    question: Mapped[bytes] = mapped_column(sa.LargeBinary)


class GroupRow(Base):
    """A group (a user, a document) of which a version of the dataset holds samples, and the side that they are on.

    Of its name only the hash: the name can be a person's.
    """

    __tablename__ = "groups"

    dataset_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    group_sha256: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    split: Mapped[str] = mapped_column(sa.Text)


class ErasedUnitRow(Base):
    """A person whose data must not enter any later version."""

    __tablename__ = "erased_units"

    unit_hash: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    erasure_id: Mapped[str] = mapped_column(sa.Text)
    erased_at: Mapped[datetime] = mapped_column(_Time)


class VersionErasureRow(Base):
    """A version held samples of a person when that person's data was erased."""

    __tablename__ = "version_erasures"

    version_id: Mapped[str] = mapped_column(sa.ForeignKey("dataset.versions.version_id"), primary_key=True)
    unit_hash: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    erasure_id: Mapped[str] = mapped_column(sa.Text)
    erased_at: Mapped[datetime] = mapped_column(_Time)


class CleaningRow(Base):
    """Rows that must go from a history: that of a version, or one that its manifest names and that became none."""

    __tablename__ = "history_cleanings"
    __table_args__ = (sa.Index("ix_history_cleanings_due", "due_at", postgresql_where=sa.text("cleaned_at IS NULL")),)

    cleaning_id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(sa.ForeignKey("dataset.datasets.dataset_id"))
    version_id: Mapped[str | None] = mapped_column(sa.ForeignKey("dataset.versions.version_id"))
    manifest: Mapped[Artifact | None] = mapped_column(AsJson(Artifact))
    rows: Mapped[RowsDocument] = mapped_column(AsJson(RowsDocument))
    attempts: Mapped[int] = mapped_column(sa.Integer)
    due_at: Mapped[datetime] = mapped_column(_Time)
    cleaned_at: Mapped[datetime | None] = mapped_column(_Time)


class DeletionRow(Base):
    """An object that must go from storage, or that went."""

    __tablename__ = "deletions"
    __table_args__ = (sa.Index("ix_deletions_due", "due_at", postgresql_where=sa.text("deleted_at IS NULL")),)

    uri: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.Text)
    attempts: Mapped[int] = mapped_column(sa.Integer)
    queued_at: Mapped[datetime] = mapped_column(_Time)
    due_at: Mapped[datetime] = mapped_column(_Time)
    begun_at: Mapped[datetime | None] = mapped_column(_Time)
    deleted_at: Mapped[datetime | None] = mapped_column(_Time)


metadata = Base.metadata
tables = messaging_tables(metadata)
data_keys = data_keys_table(metadata)
