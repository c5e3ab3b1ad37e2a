"""An adapter folder as one file, the same for the same contents."""

import os
import tarfile
from pathlib import Path

import pytest

from loopwright.errors import InvalidPayload
from trainer_svc.adapters.packing import pack, unpack


def a_folder(path: Path, names: list[str]) -> Path:
    for name in names:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}")
    return path


def test_is_the_same_whatever_the_order_the_times_and_the_rights_of_the_files(tmp_path: Path) -> None:
    first = a_folder(tmp_path / "first", ["b", "a", "deep/c"])
    second = a_folder(tmp_path / "second", ["deep/c", "a", "b"])
    os.utime(second / "a", (1, 1))
    (second / "b").chmod(0o600)

    pack(first, tmp_path / "first.tar")
    pack(second, tmp_path / "second.tar")

    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


def test_holds_every_file_under_its_name(tmp_path: Path) -> None:
    pack(a_folder(tmp_path / "folder", ["b", "deep/c"]), tmp_path / "f.tar")
    with tarfile.open(tmp_path / "f.tar") as tar:
        assert tar.getnames() == ["b", "deep/c"]
        content = tar.extractfile("deep/c")
        assert content is not None
        assert content.read() == b"content of deep/c"


def test_differs_when_a_content_differs(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "folder", ["a"])
    pack(folder, tmp_path / "before.tar")
    (folder / "a").write_text("Content of a")
    pack(folder, tmp_path / "after.tar")
    assert (tmp_path / "before.tar").read_bytes() != (tmp_path / "after.tar").read_bytes()


class TestUnpack:
    def test_gives_back_what_was_packed_in_place_of_what_was_there(self, tmp_path: Path) -> None:
        pack(a_folder(tmp_path / "folder", ["b", "deep/c"]), tmp_path / "f.tar")
        target = a_folder(tmp_path / "target", ["old"])
        unpack(tmp_path / "f.tar", target)
        assert sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()) == ["b", "deep/c"]
        assert (target / "deep/c").read_text() == "content of deep/c"

    @pytest.mark.parametrize(
        "entry",
        [
            ("../escaped", tarfile.REGTYPE, ""),
            ("deep/../../escaped", tarfile.REGTYPE, ""),
            ("link", tarfile.SYMTYPE, "/etc/passwd"),
            ("link", tarfile.LNKTYPE, "../escaped"),
            ("device", tarfile.CHRTYPE, ""),
            ("pipe", tarfile.FIFOTYPE, ""),
        ],
        ids=lambda entry: f"{entry[0]}-{entry[1].decode()}",
    )
    def test_refuses_what_would_leave_the_folder_or_is_no_plain_file(
        self, tmp_path: Path, entry: tuple[str, bytes, str]
    ) -> None:
        name, kind, target = entry
        with tarfile.open(tmp_path / "bad.tar", "w") as tar:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
        with pytest.raises(InvalidPayload):
            unpack(tmp_path / "bad.tar", tmp_path / "inner" / "target")
        assert not (tmp_path / "inner" / "target").exists()
        assert not (tmp_path / "inner" / "escaped").exists()
        assert not (tmp_path / "escaped").exists()

    def test_refuses_what_is_no_archive(self, tmp_path: Path) -> None:
        (tmp_path / "bad.tar").write_text("something else")
        with pytest.raises(InvalidPayload):
            unpack(tmp_path / "bad.tar", tmp_path / "target")
