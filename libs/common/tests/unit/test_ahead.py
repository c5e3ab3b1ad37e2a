"""Streams whose next item is made while the last one is used."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from loopwright.ahead import beside, one_ahead


class Source:
    """Counts what was made of it."""

    def __init__(self, items: int, *, fails_at: int | None = None) -> None:
        self.items, self.fails_at = items, fails_at
        self.made = 0
        self.closed = False

    async def stream(self) -> AsyncGenerator[int]:
        try:
            for item in range(self.items):
                await asyncio.sleep(0)
                if item == self.fails_at:
                    raise OSError("gone")
                self.made += 1
                yield item
        finally:
            self.closed = True


@pytest.mark.parametrize("items", [0, 1, 2, 7])
async def test_gives_the_same_items(items: int) -> None:
    source = Source(items)
    assert [item async for item in one_ahead(source.stream())] == list(range(items))
    assert source.closed


async def test_makes_one_item_while_another_is_used_and_no_more() -> None:
    source = Source(9)
    async with aclosing(one_ahead(source.stream())) as items:
        assert await anext(items) == 0
        for _ in range(20):
            await asyncio.sleep(0)
        assert source.made == 2


async def test_a_fault_comes_after_what_was_made_before_it() -> None:
    items = one_ahead(Source(5, fails_at=2).stream())
    assert [await anext(items), await anext(items)] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        await anext(items)


async def test_whoever_leaves_early_closes_the_source() -> None:
    source = Source(9)
    async with aclosing(one_ahead(source.stream())) as items:
        await anext(items)
    assert source.closed
    assert len(asyncio.all_tasks()) == 1


async def test_much_is_done_in_a_thread_and_little_at_once() -> None:
    here = threading.get_ident()
    assert await beside(100, threading.get_ident) == here
    assert await beside(1 << 20, threading.get_ident) != here
