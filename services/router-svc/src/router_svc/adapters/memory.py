"""What the process does with memory that it has given up: it keeps some, for the next request needs as much again."""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h
_KEPT_BYTES = 5 << 20
_PAD_BYTES = 1 << 20
_MAPPED_BYTES = 4 << 20


def keep_freed_memory() -> None:
    """Keeps up to 5 MiB of freed memory. glibc gives everything over 128 KiB back to the system at once.

    A page that was given back is fetched again by a fault, and long prompts take some dozens of them each. Where the C
    library is another one, all stays as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in (
            (_TRIM_THRESHOLD, _KEPT_BYTES),
            (_TOP_PAD, _PAD_BYTES),
            (_MMAP_THRESHOLD, _MAPPED_BYTES),
        ):
            mallopt(parameter, value)
