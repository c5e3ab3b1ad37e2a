"""A folder as one file that is the same for the same contents: sorted names, no times, no owners."""

import shutil
import tarfile
from pathlib import Path

from loopwright.errors import InvalidPayload


def pack(folder: Path, archive: Path) -> None:
    """Writes a tar (POSIX pax) of the files in a folder."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            entry.mode = 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)


def unpack(archive: Path, folder: Path) -> None:
    """Fills an empty folder from a tar of plain files.

    Raises:
        InvalidPayload: it is no tar, or an entry would leave the folder, or is a link or a device (PEP 706).
    """
    shutil.rmtree(folder, ignore_errors=True)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with tarfile.open(archive, "r:") as tar:
            strange = next((entry.name for entry in tar if not (entry.isfile() or entry.isdir())), None)
            if strange is not None:
                raise InvalidPayload("archive.unsafe", f"{strange[:200]!r} in the archive is no plain file")
            tar.extractall(partial, filter="data")
    except tarfile.TarError as error:
        raise InvalidPayload("archive.unsafe", f"the archive cannot be unpacked: {error}"[:300]) from error
    partial.replace(folder)
