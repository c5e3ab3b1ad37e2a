"""Lines come out of chunks as an editor would number them."""

from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.sources.lines import Block, Line, LineCutter


def cut(content: bytes, *sizes: int, max_line_bytes: int = 1000) -> list[Line]:
    cutter = LineCutter(max_line_bytes=max_line_bytes)
    lines: list[Line] = []
    while content:
        size = sizes[0] if sizes else len(content)
        sizes = sizes[1:]
        lines += cutter.feed(content[:size])
        content = content[size:]
    return lines + list(cutter.finish())


@given(st.lists(st.binary(max_size=20)), st.lists(st.integers(1, 30)))
def test_how_the_bytes_arrive_does_not_matter(pieces: list[bytes], sizes: list[int]) -> None:
    content = b"\n".join(pieces)
    assert cut(content, *sizes) == cut(content)


@given(st.lists(st.text(alphabet="ab {}", max_size=8)))
def test_every_line_that_says_something_comes_once_with_its_number(lines: list[str]) -> None:
    found = cut("\n".join(lines).encode())
    assert found == [
        Line(number=number, content=line.encode()) for number, line in enumerate(lines, start=1) if line.strip()
    ]


def test_windows_line_ends_and_the_byte_order_mark_are_no_content() -> None:
    found = cut(b"\xef\xbb\xbf{}\r\n\r\n[]\r\n")
    assert [(line.number, line.content) for line in found] == [(1, b"{}"), (3, b"[]")]


def test_a_line_that_is_too_long_is_reported_and_the_next_one_is_read() -> None:
    found = cut(b"x" * 11 + b"\ny\n" + b"z" * 10, *[3] * 20, max_line_bytes=10)
    assert [(line.number, line.content) for line in found] == [(1, None), (2, b"y"), (3, b"z" * 10)]


def test_a_long_line_is_not_kept_while_it_is_passed_over() -> None:
    cutter = LineCutter(max_line_bytes=10)
    for _ in range(100):
        assert list(cutter.feed(b"x" * 1000)) == []
        assert len(cutter._rest) <= 11
    assert [line.content for line in cutter.finish()] == [None]


@given(st.lists(st.binary(max_size=20)), st.lists(st.integers(1, 30)))
def test_blocks_cut_later_give_the_same_lines(pieces: list[bytes], sizes: list[int]) -> None:
    content = b"\r\n".join(pieces)
    cutter = LineCutter(max_line_bytes=12)
    blocks: list[Block] = []
    rest = content
    for size in [*sizes, len(content)]:
        blocks += cutter.feed_blocks(rest[:size])
        rest = rest[size:]
    blocks += cutter.finish_blocks()
    assert [line for block in blocks for line in block.lines()] == cut(content, max_line_bytes=12)


def test_verbatim_lines_keep_blank_lines_and_their_ends() -> None:
    cutter = LineCutter(max_line_bytes=10, verbatim=True)
    lines = [*cutter.feed(b"a\r\n\nb"), *cutter.feed(b"c\nd"), *cutter.finish()]
    assert [(line.number, line.content) for line in lines] == [(1, b"a\r\n"), (2, b"\n"), (3, b"bc\n"), (4, b"d")]
