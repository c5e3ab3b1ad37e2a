"""Weights in safetensors files as NumPy arrays, read and changed in place: no torch, and bfloat16, which NumPy lacks.

The format is a length, a JSON header with shape and place of each tensor, and their bytes (huggingface/safetensors).
"""

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from loopwright.errors import InvalidPayload

Floats = NDArray[np.float32]
Precision = Literal["F32", "BF16", "F16"]
_LONGEST_HEADER = 100_000_000  # what the reference reader allows
_STORED = {"F32": np.dtype("<f4"), "BF16": np.dtype("<u2"), "F16": np.dtype("<f2")}
CHUNK = 1 << 22  # weights that are worked on at a time


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True)

    dtype: str
    shape: tuple[int, ...] = Field(max_length=8)
    data_offsets: tuple[int, int]


_HEADER: TypeAdapter[dict[str, _Header]] = TypeAdapter(dict[str, _Header])


@dataclass(frozen=True)
class Weights:
    """One matrix of weights in a file; others (biases, norms, integers) are not offered.

    Attributes:
        shape: Rows and columns.
        precision: How the file holds it.
        begin: First byte in the file.
    """

    file: Path
    shape: tuple[int, int]
    precision: Precision
    begin: int

    def blocks(self) -> Iterator[slice]:
        """Rows, a few at a time."""
        rows, columns = self.shape
        step = max(1, CHUNK // columns)
        return (slice(at, min(at + step, rows)) for at in range(0, rows, step))

    def read(self, rows: slice = slice(None)) -> Floats:
        """Values `[rows, columns]`.

        Raises:
            InvalidPayload: one of them is not finite.
        """
        stored = self._map("r")[rows]
        values = _widened(stored) if self.precision == "BF16" else stored.astype(np.float32)
        if not np.isfinite(values).all():
            raise InvalidPayload("weights.not-finite", f"{self.file.name} holds weights that are no finite numbers")
        return values

    def write(self, values: Floats, rows: slice = slice(None)) -> None:
        """Replaces values, rounded to what the file holds."""
        mapped = self._map("r+")
        mapped[rows] = _halved(values) if self.precision == "BF16" else values.astype(mapped.dtype)
        mapped.flush()

    def _map(self, mode: Literal["r", "r+"]) -> np.memmap[tuple[int, ...], np.dtype[np.generic]]:
        return np.memmap(self.file, dtype=_STORED[self.precision], mode=mode, offset=self.begin, shape=self.shape)


def matrices(folder: Path) -> dict[str, Weights]:
    """Every matrix of floating-point weights in the safetensors files of a folder, by name.

    Raises:
        InvalidPayload: a file is not what it should be, or none holds such a matrix.
    """
    found: dict[str, Weights] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= _matrices_in(path)
    if not found:
        raise InvalidPayload("weights.missing", f"{folder.name} holds no safetensors file with matrices of weights")
    return found


def rounded(values: Floats, precision: Precision) -> Floats:
    """What is left of values after they were stored (round to nearest, ties to even)."""
    match precision:
        case "F32":
            return values
        case "F16":
            return values.astype(np.float16).astype(np.float32)
        case "BF16":
            return _widened(_halved(values))


def _matrices_in(path: Path) -> dict[str, Weights]:
    length = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        header_length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else length
        if header_length > min(length - 8, _LONGEST_HEADER):
            raise _unreadable(path)
        text = file.read(header_length)
    try:
        header: object = json.loads(text)
        assert isinstance(header, dict)
        entries = _HEADER.validate_python({name: entry for name, entry in header.items() if name != "__metadata__"})
    except (ValueError, AssertionError, RecursionError, ValidationError) as error:
        raise _unreadable(path) from error
    first = 8 + header_length
    return {
        name: _weights(path, entry, first=first, length=length)
        for name, entry in entries.items()
        if entry.dtype in _STORED and len(entry.shape) == 2 and math.prod(entry.shape)
    }


def _weights(path: Path, entry: _Header, *, first: int, length: int) -> Weights:
    begin, end = entry.data_offsets
    precision: Precision = "F32" if entry.dtype == "F32" else "BF16" if entry.dtype == "BF16" else "F16"
    size = math.prod(entry.shape) * _STORED[precision].itemsize
    if min(entry.shape) < 0 or begin < 0 or end - begin != size or first + end > length:
        raise _unreadable(path)
    return Weights(path, (entry.shape[0], entry.shape[1]), precision, first + begin)


def _unreadable(path: Path) -> InvalidPayload:
    return InvalidPayload("weights.unreadable", f"{path.name} is not a whole safetensors file")


def _widened(stored: NDArray[np.generic]) -> Floats:
    return (stored.astype(np.uint32) << 16).view(np.float32)


def _halved(values: Floats) -> NDArray[np.uint16]:
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
