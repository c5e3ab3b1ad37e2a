"""What was compiled is run only where it was made of the sources as they are now."""

from pathlib import Path

import pytest

from loopwright_local import native

SERVICE = "router-svc"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(native, "_FOLDER", tmp_path)
    made = tmp_path / SERVICE
    made.mkdir()
    return made


def test_without_a_build_the_sources_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_FOLDER", tmp_path)
    assert native.native_env(SERVICE) == {}


def test_what_was_made_of_these_sources_runs_before_them(folder: Path) -> None:
    (folder / "made-of").write_text(native._digest(SERVICE))
    assert native.native_env(SERVICE) == {"PYTHONPATH": str(folder)}


def test_a_source_that_changed_since_puts_the_build_aside(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "src/router_svc"
    package.mkdir(parents=True)
    (package / "board.py").write_text("a = 1\n")
    monkeypatch.setattr(native, "_package", lambda _: package)
    monkeypatch.setattr(native, "_ROOT", tmp_path)
    monkeypatch.setattr(native, "_settings", lambda _: {"native": ["board.py"]})
    (folder / "made-of").write_text(native._digest(SERVICE))
    assert native.native_path(SERVICE) == str(folder)
    (package / "board.py").write_text("a = 2\n")
    assert native.native_path(SERVICE) is None


def test_a_build_that_did_not_end_is_none(folder: Path) -> None:
    (folder / "setup.py").write_text("")
    assert native.native_path(SERVICE) is None
