"""A record of any known shape, brought to one form: a conversation that ends in the answer, and what is said of it."""

from typing import Annotated

import msgspec

from dataset_svc.domain.samples import Scalar, Turn
from loopwright.contracts.datasets import SampleSource

Fields = dict[str, object]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@\-]*$")]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a reader needs to make a sample; the fields as in `Sample`."""

    messages: tuple[Turn, ...]
    sample_id: Id | None = None
    task_id: str | None = None
    input: str | None = None
    source: SampleSource | None = None
    inference_id: Id | None = None
    rating_ids: tuple[Id, ...] = ()
    unit_hash: Id | None = None
    weight_0_1: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    tools: str | None = None
    rejected: str | None = None
    thumb: bool | None = None
    metadata: dict[str, Scalar] | None = None
    category: Label | None = None
    group: Label | None = None


class Fault(Exception):
    """A record is no sample.

    Args:
        field: Path of the wrong field.
        reason: What is wrong; never what the record said.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A record of a table: one row of a CSV or Parquet file.

    Attributes:
        number: Line on which it starts (CSV) or row (Parquet), from 1.
        fields: Values by column; None if it was too long to keep or could not be read.
        raw: What the reject file keeps.
        fault: Why there are no fields.
    """

    number: int
    fields: Fields | None
    raw: bytes | None
    fault: str | None = None
