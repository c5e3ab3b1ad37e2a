"""Memory of requests that have ended serves the next ones."""

import platform
import resource

import pytest

from router_svc.adapters.memory import keep_freed_memory

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
