"""Unpacks tars that came from outside: plain files and folders only, no more of them than agreed, and nothing elsewhere."""

import os
import shutil
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from loopwright.errors import InvalidPayload, StoreUnavailable

_LARGEST_READ = 1 << 20  # contents are copied in small pieces; only names and headers are read at once


@dataclass(frozen=True)
class Bounds:
    """How much an archive may hold.

    Attributes:
        files: Most entries, folders included.
        size_bytes: Most bytes of all files together, unpacked.
    """

    files: int
    size_bytes: int


class _Careful(FileIO):
    """A file of which nobody reads much at once: a tar's header may claim any length for a name or an attribute."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_READ:
            raise InvalidPayload("archive.unsafe", "a header of the archive is larger than any header needs to be")
        return super().read(size)


def unpack(archive: Path, folder: Path, bounds: Bounds) -> None:
    """Fills a folder, in place of what was there, from an uncompressed tar; it appears whole or not at all.

    Raises:
        InvalidPayload: it is no tar (`archive.unsafe`), an entry would leave the folder or is a link or a device
            (PEP 706), or it holds more than it may (`archive.too-large`).
        StoreUnavailable: the disk does not take it.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with _refusals():
            partial.mkdir(parents=True)
            with _Careful(archive) as file, tarfile.open(fileobj=file, mode="r:") as tar:
                _check(tar, bounds)
                # refuses what else could leave the folder, where Python knows it: from 3.11.4 on (PEP 706)
                tar.extraction_filter = getattr(tarfile, "data_filter", None)
                tar.extractall(partial)  # noqa: S202 - every entry was looked at
            shutil.rmtree(folder, ignore_errors=True)
            partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _refusals() -> Generator[None]:
    try:
        yield
    except (tarfile.TarError, ValueError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InvalidPayload("archive.unsafe", f"the archive cannot be unpacked: {error}"[:300]) from error
    except OSError as error:
        raise StoreUnavailable(
            "archive.not-written", f"the disk does not take the archive: {error.strerror}"
        ) from error


def _check(tar: tarfile.TarFile, bounds: Bounds) -> None:
    files = size_bytes = 0
    for entry in tar:
        files, size_bytes = files + 1, size_bytes + entry.size
        if files > bounds.files or size_bytes > bounds.size_bytes:
            raise InvalidPayload("archive.too-large", "the archive holds too many files or bytes")
        if not (entry.isfile() or entry.isdir()) or entry.issparse():
            raise InvalidPayload("archive.unsafe", f"{entry.name[:200]!r} in the archive is no plain file")
        if entry.name.startswith("/") or ".." in entry.name.split("/"):
            raise InvalidPayload("archive.unsafe", f"{entry.name[:200]!r} in the archive leaves its folder")
        entry.mode = 0o755 if entry.isdir() else 0o644  # another account may serve it
        entry.uid, entry.gid, entry.uname, entry.gname = os.getuid(), os.getgid(), "", ""
