"""Row hashes are SipHash, and rows are found again by them."""

import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.versions.row_hashes import Lines, _hashes, cut, hash_sample_ids, hash_spans, match, sample_id_of

KEY = bytes(range(16, 32))
lines = st.lists(st.binary(max_size=400).map(lambda line: line.replace(b"\n", b"")), max_size=40)


def siphash(content: bytes, key: bytes = KEY, *, rounds: tuple[int, int] = (1, 3)) -> bytes:
    """SipHash with 128 bits as its paper tells it, one step after the other."""
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D ^ 0xEE, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def turn(times):
        for _ in range(times):
            for a, b, c, d, left, right in ((0, 1, 2, 3, 13, 16), (2, 1, 0, 3, 17, 21)):
                v[a] = (v[a] + v[b]) % 2**64
                v[b] = ((v[b] << left | v[b] >> 64 - left) ^ v[a]) % 2**64
                v[a] = (v[a] << 32 | v[a] >> 32) % 2**64
                v[c] = (v[c] + v[d]) % 2**64
                v[d] = ((v[d] << right | v[d] >> 64 - right) ^ v[c]) % 2**64

    padded = content + bytes(7 - len(content) % 8) + bytes([len(content) % 256])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        turn(rounds[0])
        v[0] ^= word
    digest = b""
    for flaw, place in ((0xEE, 2), (0xDD, 1)):
        v[place] ^= flaw
        turn(rounds[1])
        digest += struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])
    return digest


@pytest.mark.parametrize(
    ("content", "digest"),
    [(b"", "a3817f04ba25a8e66df67214c7550293"), (b"\0", "da87c1d86b99af44347659119b22fc45")],
)
def test_with_the_rounds_of_the_paper_the_published_values_come_out(content, digest):
    spans = Lines(starts=np.array([0]), lengths=np.array([len(content)]))
    assert _hashes(content, spans, bytes(range(16)), rounds=(2, 4)).tobytes().hex() == digest
    assert siphash(content, bytes(range(16)), rounds=(2, 4)).hex() == digest


@settings(deadline=None)  # the first call compiles
@given(lines, st.binary(min_size=16, max_size=16))
def test_every_line_has_its_siphash(rows, key):
    content = b"".join(row + b"\n" for row in rows)
    hashes = hash_spans(content, cut(content), key)
    assert [one.tobytes() for one in hashes] == [siphash(row, key) for row in rows]


def test_lengths_around_words_are_hashed_right_wherever_they_stand():
    rows = [bytes([65 + length % 26]) * length for length in range(300)]
    content = b"".join(row + b"\n" for row in rows)
    assert [one.tobytes() for one in hash_spans(content, cut(content), KEY)] == [siphash(row) for row in rows]


@settings(deadline=None)  # the first call compiles
@given(lines)
def test_lines_are_cut_where_they_end(rows):
    content = b"".join(row + b"\n" for row in rows)
    found = cut(content)
    starts, lengths = found.starts.tolist(), found.lengths.tolist()
    assert [content[start : start + length] for start, length in zip(starts, lengths, strict=True)] == rows


def test_a_content_whose_last_line_has_no_end_is_refused():
    with pytest.raises(ValueError, match="no end"):
        cut(b"a\nb")


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 60), max_size=50), st.lists(st.integers(0, 60), max_size=50))
def test_a_hash_is_found_at_its_first_place_or_not_at_all(known, wanted):
    def words(numbers):
        # equal first words: only the second one tells them apart
        return np.array([(number % 3, number) for number in numbers], dtype=np.uint64).reshape(-1, 2)

    expected = [known.index(number) if number in known else -1 for number in wanted]
    assert match(words(known), words(wanted)).tolist() == expected


class TestSampleIds:
    @pytest.mark.parametrize(
        ("line", "name"),
        [
            (b'{"sample_id":"s1","input":"x"}', "s1"),
            (b'{"sample_id":"s\\"1","input":"x"}', 's"1'),
            (b'{"input":"sample_id","sample_id":"s2"}', "s2"),
            (b'{ "sample_id": "s3"}', "s3"),
        ],
    )
    def test_are_read_wherever_they_stand(self, line, name):
        assert sample_id_of(line) == name
        content = line + b"\n"
        assert hash_sample_ids(content, cut(content), KEY)[0].tobytes() == siphash(name.encode())

    @pytest.mark.parametrize("line", [b"", b"{}", b'{"sample_id":"s', b'{"sample_id":5}', b"\xff"])
    def test_that_are_not_there_are_an_error(self, line):
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
            sample_id_of(line)
