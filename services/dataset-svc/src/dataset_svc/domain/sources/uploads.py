"""A file that arrives in pieces: what was promised, how far it is, and what a next piece must be."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dataset_svc.domain.sources.columns import ColumnMapping
from loopwright.contracts.base import Artifact
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import Conflict, Expired, Invalid

_SHA256_BYTES = 32


class UploadState(StrEnum):
    """Where an upload stands."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class UploadRules:
    """What uploads in pieces may be.

    Attributes:
        max_bytes: Of the whole file.
        time_to_live: Without a new piece for so long, it expires.
    """

    max_bytes: int = 1 << 30
    time_to_live: timedelta = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What is known of one.

    Attributes:
        filename: What the file is called where it comes from; a hint of its format.
        sha256: Hash that the whole file must have.
        touched_at: When the last piece came.
        request_id: Request that it became; None before it is complete.
    """

    upload_id: str
    filename: str
    size_bytes: int
    sha256: str
    task_id: str
    dataset_name: str
    description: str
    policy: DataPolicy
    mapping: ColumnMapping | None
    state: UploadState
    received_bytes: int
    created_by: str
    created_at: datetime
    touched_at: datetime
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of the file that is in storage."""

    first_byte: int
    artifact: Artifact


def check_receiving(upload: Upload, rules: UploadRules, *, now: datetime) -> None:
    """Refuses pieces of an upload that takes none.

    Raises:
        Conflict: it is complete.
        Expired: nothing came for too long.
    """
    if upload.state is UploadState.COMPLETE:
        raise Conflict("upload.complete", "the upload is complete", upload_id=upload.upload_id)
    if upload.state is UploadState.EXPIRED or upload.touched_at + rules.time_to_live < now:
        raise Expired("upload.expired", "nothing came for too long; start again", upload_id=upload.upload_id)


def check_offset(upload: Upload, offset: int) -> None:
    """A piece begins where the last one ended.

    Raises:
        Conflict: it does not; says where it must.
    """
    if offset != upload.received_bytes:
        detail = f"the next byte is number {upload.received_bytes}, not {offset}"
        raise Conflict("upload.wrong-offset", detail, offset=upload.received_bytes)


def read_checksum(header: str) -> bytes:
    """The digest in `sha256 <base64>`, as tus writes it, or in hexadecimal.

    Raises:
        Invalid: it is neither.
    """
    name, _, text = header.strip().partition(" ")
    try:
        text = text.strip()
        hexadecimal = len(text) == 2 * _SHA256_BYTES
        digest = bytes.fromhex(text) if hexadecimal else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if name.lower() != "sha256" or len(digest) != _SHA256_BYTES:
        raise Invalid("upload.bad-checksum", "Upload-Checksum is not `sha256 <base64>`", field="Upload-Checksum")
    return digest
