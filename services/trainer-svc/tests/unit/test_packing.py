"""An adapter folder as one file, the same for the same contents."""

import os
import tarfile
from pathlib import Path

from loopwright.archives import Bounds, unpack
from trainer_svc.adapters.packing import pack


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


def test_gives_back_what_was_packed(tmp_path: Path) -> None:
    pack(a_folder(tmp_path / "folder", ["b", "deep/c"]), tmp_path / "f.tar")
    unpack(tmp_path / "f.tar", tmp_path / "target", Bounds(files=10, size_bytes=1000))
    assert (tmp_path / "target" / "deep/c").read_text() == "content of deep/c"
    assert (tmp_path / "target" / "b").read_text() == "content of b"
