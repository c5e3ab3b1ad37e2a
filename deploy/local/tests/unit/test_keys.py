"""Key files: each made once, and the pair for artefacts signs what its public half accepts."""

from pathlib import Path

from loopwright.auth import Role, TokenVerifier
from loopwright.signatures import read_private_key, read_public_keys
from loopwright.watermark import Pattern
from loopwright_local.keys import AUDIENCE, ISSUER, ensure_keys, make_api_key
from router_svc.domain.keys import digest_of, read_keys


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


def test_of_callers_are_such_as_the_router_reads_and_hold_no_key(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    assert read_keys(keys.callers.read_bytes()).keys == ()
    first = make_api_key(keys, name="web", tenant="acme", tasks=["chat"], requests_per_min=60)
    second = make_api_key(keys, name="batch", tenant=None)
    entries = {key.id: key for key in read_keys(keys.callers.read_bytes()).keys}
    assert bytes.fromhex(entries["web"].sha256) == digest_of(first.encode())
    assert (entries["web"].tenant, entries["web"].tasks, entries["web"].requests_per_min) == ("acme", {"chat"}, 60)
    assert entries["batch"].tasks is None
    assert not any(key.encode() in keys.callers.read_bytes() for key in (first, second))
    assert keys.callers.stat().st_mode & 0o077 == 0


def test_of_callers_of_one_name_replace_each_other(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    make_api_key(keys, name="web", tenant=None)
    newer = make_api_key(keys, name="web", tenant=None)
    [entry] = read_keys(keys.callers.read_bytes()).keys
    assert bytes.fromhex(entry.sha256) == digest_of(newer.encode())


def test_the_routers_token_lets_it_read_and_goes_with_the_pair_that_signed_it(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    verifier = TokenVerifier.from_file(keys.public, issuer=ISSUER, audience=AUDIENCE)
    assert verifier.verify(keys.router_token.read_text()).role is Role.VIEWER
    keys.private.unlink()
    ensure_keys(tmp_path)
    verifier = TokenVerifier.from_file(keys.public, issuer=ISSUER, audience=AUDIENCE)
    assert verifier.verify(keys.router_token.read_text()).subject == "router-svc"
