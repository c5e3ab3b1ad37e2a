"""How the loops of every room are compiled.

What numba's cache on disk notices is a change of a function's own file, so loops call no loop of another file.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def compiled(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Compiles on the first call in the first process; later processes load it from numba's cache on disk."""
    return cast("Callable[_Args, _Result]", numba.njit(cache=True, nogil=True)(function))


def compiled_inner(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """As `compiled`, for what loops call and what neither makes, slices nor gives arrays: nobody counts references to them.

    Counting those of a tuple of tables takes ten times as long as what a small function does with it.
    """
    njit = numba.njit(cache=True, nogil=True, _nrt=False)  # pyright: ignore[reportCallIssue] - an option without a stub
    return cast("Callable[_Args, _Result]", njit(function))
