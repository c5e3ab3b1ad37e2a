"""What a mapping, a checksum and the next piece of an upload must be."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from dataset_svc.domain.sources.columns import ColumnMapping, Part, check_mapping, shown
from dataset_svc.domain.sources.uploads import (
    Upload,
    UploadRules,
    UploadState,
    check_offset,
    check_receiving,
    read_checksum,
)
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import Conflict, Expired, Invalid

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def an_upload(**changes: object) -> Upload:
    fields: dict[str, object] = {
        "upload_id": "u", "filename": "rows.csv", "size_bytes": 10, "sha256": "0" * 64, "task_id": "logs",
        "dataset_name": "logs", "description": "", "policy": DataPolicy(), "mapping": None,
        "state": UploadState.RECEIVING, "received_bytes": 4, "created_by": "somebody", "created_at": NOW,
        "touched_at": NOW, "request_id": None,
    }  # fmt: skip
    return Upload(**(fields | changes))


def test_the_next_piece_begins_where_the_last_one_ended() -> None:
    check_offset(an_upload(), 4)
    with pytest.raises(Conflict) as refused:
        check_offset(an_upload(), 5)
    assert (refused.value.code, refused.value.facts) == ("upload.wrong-offset", {"offset": 4})


def test_an_upload_takes_pieces_until_it_is_complete_or_waited_too_long() -> None:
    rules = UploadRules(time_to_live=timedelta(hours=1))
    check_receiving(an_upload(), rules, now=NOW + timedelta(minutes=59))
    with pytest.raises(Expired):
        check_receiving(an_upload(), rules, now=NOW + timedelta(minutes=61))
    with pytest.raises(Expired):
        check_receiving(an_upload(state=UploadState.EXPIRED), rules, now=NOW)
    with pytest.raises(Conflict):
        check_receiving(an_upload(state=UploadState.COMPLETE), rules, now=NOW)


def test_a_checksum_is_read_in_both_spellings() -> None:
    digest = hashlib.sha256(b"piece").digest()
    assert read_checksum(f"sha256 {base64.b64encode(digest).decode()}") == digest
    assert read_checksum(f"SHA256 {digest.hex()}") == digest


@pytest.mark.parametrize("header", ["", "sha256", "md5 aGVsbG8=", "sha256 aGVsbG8=", "sha256 !!", f"sha256 {'z' * 64}", "sha256 한"])  # fmt: skip
def test_any_other_checksum_is_refused(header: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_checksum(header)
    assert refused.value.code == "upload.bad-checksum"


@pytest.mark.parametrize(
    "mapping",
    [{}, {Part.PROMPT: "q"}, {Part.COMPLETION: "a"}, {Part.PROMPT: "q", Part.CHOSEN: "a"}, {Part.PROMPT: "q", Part.COMPLETION: ""}],
)  # fmt: skip
def test_a_mapping_that_no_file_could_fulfil_is_refused(mapping: ColumnMapping) -> None:
    with pytest.raises(Invalid) as refused:
        check_mapping(mapping)
    assert refused.value.code == "upload.bad-mapping"


def test_names_of_columns_are_cut_before_they_are_shown() -> None:
    text = shown(["x" * 1000] * 1000)
    assert text.endswith("and 970 more")
    assert len(text) < 2000
