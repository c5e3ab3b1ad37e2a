"""Tars from outside: what is unpacked, what is refused, and that a refusal leaves nothing behind."""

import io
import tarfile
from pathlib import Path

import pytest

from loopwright.archives import Bounds, unpack
from loopwright.errors import InvalidPayload, StoreUnavailable

BOUNDS = Bounds(files=4, size_bytes=1000)


def a_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o400
            tar.addfile(entry, io.BytesIO(content))
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def nothing_left(folder: Path) -> bool:
    return not folder.exists() and not list(folder.parent.glob(f".{folder.name}*"))


def test_gives_what_was_packed_in_place_of_what_was_there_readable_by_all(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()
    unpack(a_tar(tmp_path / "f.tar", {"b": b"1", "deep/c": b"22"}), target, BOUNDS)

    assert files_in(target) == {"b": b"1", "deep/c": b"22"}
    assert (target / "b").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../escaped", tarfile.REGTYPE, ""),
        ("deep/../../escaped", tarfile.REGTYPE, ""),
        ("/absolute", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.LNKTYPE, "../escaped"),
        ("device", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_refuses_what_would_leave_the_folder_or_is_no_plain_file(
    tmp_path: Path, name: str, kind: bytes, link: str
) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        tar.addfile(entry)
    with pytest.raises(InvalidPayload, match=r"archive\.unsafe"):
        unpack(tmp_path / "bad.tar", tmp_path / "inner" / "target", BOUNDS)

    assert nothing_left(tmp_path / "inner" / "target")
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path / "inner" / "escaped").exists()


@pytest.mark.parametrize("files", [{str(n): b"" for n in range(5)}, {"a": bytes(600), "b": bytes(401)}])
def test_refuses_more_than_agreed(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(InvalidPayload, match=r"archive\.too-large"):
        unpack(a_tar(tmp_path / "f.tar", files), tmp_path / "target", BOUNDS)
    assert nothing_left(tmp_path / "target")


def test_refuses_a_few_bytes_that_claim_to_be_many(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("sparse")
    entry.type, entry.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    (tmp_path / "f.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(InvalidPayload, match=r"archive\."):
        unpack(tmp_path / "f.tar", tmp_path / "target", BOUNDS)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_refuses_a_header_that_would_fill_memory_before_it_reads_it(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("header")
    entry.type, entry.size = kind, 7 << 30
    (tmp_path / "f.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(InvalidPayload, match="header"):
        unpack(tmp_path / "f.tar", tmp_path / "target", BOUNDS)


@pytest.mark.parametrize("files", [["a", "a/b"], ["a/b", "a"]])
def test_refuses_a_file_that_is_a_folder_too(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(InvalidPayload, match=r"archive\.unsafe"):
        unpack(a_tar(tmp_path / "f.tar", dict.fromkeys(files, b"1")), tmp_path / "target", BOUNDS)
    assert nothing_left(tmp_path / "target")


def test_refuses_what_is_no_archive_or_ends_too_early(tmp_path: Path) -> None:
    (tmp_path / "none.tar").write_text("something else")
    whole = a_tar(tmp_path / "whole.tar", {"a": bytes(900)}).read_bytes()
    (tmp_path / "torn.tar").write_bytes(whole[:700])
    for name in ("none.tar", "torn.tar"):
        with pytest.raises(InvalidPayload, match=r"archive\.unsafe"):
            unpack(tmp_path / name, tmp_path / "target", BOUNDS)
    assert nothing_left(tmp_path / "target")


def test_a_disk_that_does_not_take_it_is_no_fault_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((StoreUnavailable, InvalidPayload)):
        unpack(a_tar(tmp_path / "f.tar", {"x" * 300: b""}), tmp_path / "target", BOUNDS)
    with pytest.raises(StoreUnavailable):
        unpack(tmp_path / "not-there.tar", tmp_path / "target", BOUNDS)
