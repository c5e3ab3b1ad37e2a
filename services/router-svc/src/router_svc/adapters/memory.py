"""What the process does with memory that it has given up: it keeps some, for the next request needs as much again.

glibc's own way is to give all over 128 KiB at the end of its heap back at once, and nothing from within it ever. Where the
C library is another one, all stays as it is.
"""

import asyncio
import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h
_KEPT_BYTES = 5 << 20
_PAD_BYTES = 1 << 20
_MAPPED_BYTES = 4 << 20
_TRIM_EVERY_S = 5.0


async def tend_memory() -> None:
    """Keeps what the next requests need, and nothing that only former ones did; runs until cancelled."""
    keep_freed_memory()
    while True:
        await asyncio.sleep(_TRIM_EVERY_S)
        give_memory_back()


def keep_freed_memory() -> None:
    """Keeps up to 5 MiB of freed memory.

    A page that was given back is fetched again by a fault, and long prompts take some dozens of them each.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in (
            (_TRIM_THRESHOLD, _KEPT_BYTES),
            (_TOP_PAD, _PAD_BYTES),
            (_MMAP_THRESHOLD, _MAPPED_BYTES),
        ):
            mallopt(parameter, value)


def give_memory_back() -> None:
    """Gives back what is free between memory in use, and what is not kept; for now and then, as it looks at the whole heap.

    Else what a minute of long prompts took would stay taken for good.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(_KEPT_BYTES))
