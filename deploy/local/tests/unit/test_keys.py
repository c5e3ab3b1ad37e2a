"""Key files: each made once, and the pair for artefacts signs what its public half accepts."""

from pathlib import Path

from loopwright.signatures import read_private_key, read_public_keys
from loopwright.watermark import Pattern
from loopwright_local.keys import ensure_keys


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_are_made_once(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    before = contents(tmp_path)
    ensure_keys(tmp_path)
    assert contents(tmp_path) == before


def test_are_for_nobody_else_to_read_unless_public(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    for path in (keys.private, keys.inference, keys.storage, keys.pseudonyms, keys.watermark, keys.artefacts_private):
        assert path.stat().st_mode & 0o077 == 0


def test_of_artefacts_belong_together(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    assert read_public_keys(keys.artefacts_public) == (read_private_key(keys.artefacts_private).public_key(),)


def test_of_artefacts_outlive_a_lost_public_half(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    before = contents(tmp_path)
    keys.artefacts_public.unlink()
    ensure_keys(tmp_path)
    assert contents(tmp_path) == before


def test_of_the_watermark_can_be_used(tmp_path: Path) -> None:
    assert Pattern(ensure_keys(tmp_path).watermark.read_bytes(), "job-1").key_id
