"""Memory of requests that have ended serves the next ones."""

import platform
import resource
from pathlib import Path

import pytest

from router_svc.adapters.memory import give_memory_back, keep_freed_memory

BLOCKS, BYTES = 64, 65_536


def faults() -> int:
    """Page faults of taking as much as some long requests do, and giving it back."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [b"x" * (BYTES + number) for number in range(BLOCKS)]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have ways of their own")
def test_what_was_freed_is_not_fetched_again() -> None:
    keep_freed_memory()
    faults()
    assert faults() < BLOCKS * BYTES // resource.getpagesize() // 10


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have ways of their own")
def test_what_is_free_between_memory_in_use_is_given_back() -> None:
    keep_freed_memory()
    blocks = [b"x" * BYTES for _ in range(8 * BLOCKS)]
    kept = blocks[::8]
    full = resident_bytes()
    del blocks
    assert resident_bytes() > full - BYTES * BLOCKS
    give_memory_back()
    assert resident_bytes() < full - 6 * BYTES * BLOCKS
    assert kept
