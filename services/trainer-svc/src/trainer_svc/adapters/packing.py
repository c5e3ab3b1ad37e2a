"""A folder as one file that is the same for the same contents: sorted names, no times, no owners."""

import tarfile
from pathlib import Path


def pack(folder: Path, archive: Path) -> None:
    """Writes a tar (POSIX pax) of the files in a folder."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            entry.mode = 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)
