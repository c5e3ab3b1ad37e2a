"""Hashes of many messages are those that the standard library makes of each."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.texts.hashes import in_hex, sha256s


def _at_once(messages: list[bytes]) -> list[bytes]:
    digests = sha256s(messages)
    assert digests.shape == (len(messages), 32)
    return [digest.tobytes() for digest in digests]


def _one_by_one(messages: list[bytes]) -> list[bytes]:
    return [hashlib.sha256(message).digest() for message in messages]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=40))
def test_hashes_are_those_of_each_message(messages: list[bytes]) -> None:
    assert _at_once(messages) == _one_by_one(messages)


def test_every_size_up_to_several_blocks_is_padded_as_it_should_be() -> None:
    shuffled = random.Random(1)
    messages = [shuffled.randbytes(size) for size in range(5 * 64)]
    shuffled.shuffle(messages)
    assert _at_once(messages) == _one_by_one(messages)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 33])
def test_lanes_may_be_idle(count: int) -> None:
    messages = [bytes([place]) * 100 for place in range(count)]
    assert _at_once(messages) == _one_by_one(messages)


def test_one_long_message_is_not_waited_for_by_many_short_ones() -> None:
    messages = [b"short", b"x" * 100_000, b"", b"also short"]
    assert _at_once(messages) == _one_by_one(messages)


@pytest.mark.parametrize("count", [0, 1, 20])
@pytest.mark.parametrize("size", [32, 16])
def test_hexadecimal_digits_are_those_of_each_hash_or_of_its_first_bytes(count: int, size: int) -> None:
    messages = [bytes([place]) for place in range(count)]
    wanted = [hashlib.sha256(message).hexdigest()[: 2 * size] for message in messages]
    assert in_hex(sha256s(messages)[:, :size]) == wanted
