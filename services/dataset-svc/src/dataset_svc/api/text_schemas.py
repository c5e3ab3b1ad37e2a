"""Bodies of requests about documents and knowledge bases."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dataset_svc.api.schemas import Text
from dataset_svc.domain.texts.chunks import ChunkRules, Unit
from dataset_svc.domain.texts.generated_pairs import Template
from dataset_svc.domain.texts.retrieval import Method
from loopwright.contracts.base import Identifier, Share
from loopwright.contracts.tasks import DataPolicy

MOST_RECORDS_AT_ONCE = 500
_LARGEST_NUMBER = 1 << 53  # integers up to it are the same for every reader of JSON
_Short = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
_Long = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]
_Value = (
    _Short
    | Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(strict=True, ge=-_LARGEST_NUMBER, le=_LARGEST_NUMBER)]
    | Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-_LARGEST_NUMBER, le=_LARGEST_NUMBER)]
)
Facts = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")], _Value], Field(max_length=20)
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChunkWish(_Body):
    """How a document is cut; sentences are never parted unless one alone is too large."""

    size: Annotated[int, Field(ge=100, le=8000, description="most of a chunk")] = 1500
    overlap: Annotated[int, Field(ge=0, le=2000, description="most that it repeats of the one before")] = 150
    unit: Annotated[Unit, Field(description="characters, or tokens by an estimate")] = Unit.CHARACTERS

    @property
    def rules(self) -> ChunkRules:
        return ChunkRules(size=self.size, overlap=min(self.overlap, self.size // 2), unit=self.unit)


class GenerationBody(_Body):
    """Samples that are wanted from a document."""

    task_id: Annotated[Identifier, Field(description="task that the samples teach")]
    dataset_name: Annotated[Identifier | None, Field(description="dataset that grows; the task's id if left out")] = (
        None
    )
    template: Annotated[Template, Field(description="kind of samples")] = Template.QA
    pairs: Annotated[int, Field(ge=1, le=500, description="that the model is asked for, spread over the chunks")] = 10
    min_score_0_1: Annotated[Share, Field(description="pairs below it are left out")] = 0.7
    chunks: ChunkWish = ChunkWish()
    policy: Annotated[DataPolicy, Field(description="how the samples are cleaned and split")] = DataPolicy()


class IndexBody(_Body):
    """A knowledge base to be made."""

    name: Identifier
    description: Text = ""
    masked: Annotated[bool, Field(description="mask personal data in whatever is added")] = True


class RecordBody(_Body):
    """A record; it replaces the one of the same id."""

    record_id: Identifier
    title: _Short = ""
    text: _Long
    metadata: Annotated[Facts, Field(description="what searches can be narrowed by")] = {}


class RecordsBody(_Body):
    """Records of the next version."""

    records: Annotated[tuple[RecordBody, ...], Field(max_length=MOST_RECORDS_AT_ONCE)] = ()
    remove: Annotated[tuple[Identifier, ...], Field(max_length=5000, description="records that go")] = ()


class DocumentsBody(_Body):
    """Documents whose chunks become records of the next version; earlier chunks of theirs go."""

    document_ids: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=20)]
    chunks: ChunkWish = ChunkWish()
    metadata: Annotated[Facts, Field(description="of every chunk")] = {}


class SearchBody(_Body):
    """A search."""

    query: Annotated[str, Field(min_length=1, max_length=2000)]
    method: Method = Method.FUSED
    version: Annotated[int | None, Field(ge=0, le=1_000_000_000, description="newest if left out")] = None
    metadata: Annotated[Facts, Field(description="only entries that have all of these")] = {}
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    offset: Annotated[int, Field(ge=0, le=200)] = 0


class LabelledQuery(_Body):
    """A query and the records that answer it."""

    query: Annotated[str, Field(min_length=1, max_length=2000)]
    relevant: Annotated[frozenset[Identifier], Field(min_length=1, max_length=100)]


class EvaluationBody(_Body):
    """Queries to measure retrieval by."""

    queries: Annotated[tuple[LabelledQuery, ...], Field(min_length=1, max_length=200)]
    version: Annotated[int | None, Field(ge=0, le=1_000_000_000, description="newest if left out")] = None
    cutoffs: Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], Field(min_length=1, max_length=10)] = (
        1,
        3,
        5,
        10,
    )


class VersionMade(BaseModel):
    """The version that an addition made."""

    index_id: str
    version: int
    added: int
