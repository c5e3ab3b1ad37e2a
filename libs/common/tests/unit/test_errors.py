"""The error tree."""

import pickle
from collections.abc import Iterator

import pytest

from loopwright.errors import PlatformError


def tree(root: type[PlatformError]) -> Iterator[type[PlatformError]]:
    yield root
    for kind in root.__subclasses__():
        yield from tree(kind)


@pytest.mark.parametrize("kind", sorted(set(tree(PlatformError)), key=lambda kind: kind.__qualname__))
def test_crosses_from_a_process_to_another_whole(kind: type[PlatformError]) -> None:
    error = kind("source.damaged", "it is cut off", line=7)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.code, again.detail, again.facts, str(again)) == (error.code, error.detail, error.facts, str(error))
