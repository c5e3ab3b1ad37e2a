"""Whose an object is, and how long a try is waited for."""

from datetime import timedelta

import pytest

from dataset_svc.domain.deletions import is_composed_source, is_own_source, patience

DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("folder", "own", "composed"),
    [
        ("uploads", True, False),
        ("generated", True, False),
        ("merges", True, True),
        ("splits", True, True),
        ("exports", False, False),
        ("datasets", False, False),
    ],
)
@pytest.mark.parametrize("root", ["file:///var/store", "s3://bucket/prefix", "s3://bucket"])
def test_the_folder_of_a_source_says_whose_it_is(root: str, folder: str, *, own: bool, composed: bool) -> None:
    uri = f"{root}/{folder}/ab/{DIGEST}.jsonl"
    assert (is_own_source(uri), is_composed_source(uri)) == (own, composed)


@pytest.mark.parametrize("uri", ["", "uploads", "/uploads", "file:///uploads", "merges/ab", "s3://merges/ab"])
def test_what_is_no_stored_object_is_nobodys(uri: str) -> None:
    assert not is_own_source(uri)
    assert not is_composed_source(uri)


def test_patience_grows_and_ends() -> None:
    waits = [patience(attempts) for attempts in range(40)]
    assert waits[0] == timedelta(minutes=1)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=1)
