"""Keys and tokens: who is let in as whom, who is not, and what it says."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loopwright.auth import TokenVerifier
from loopwright.errors import NotAuthenticated, NotPermitted, RateLimited
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from router_svc.adapters.callers import Guard, GuardRules, KeysOnDisk
from router_svc.domain.keys import read_keys

MINT = TokenMint()
NOW = datetime.now(UTC).timestamp()
KEY, OTHER = "lw_" + "k" * 43, "lw_" + "o" * 43


def bearer(secret: str) -> bytes:
    return f"Bearer {secret}".encode()


def entry(secret: str, **fields: object) -> dict[str, object]:
    return {"id": f"key-{secret[3]}", "sha256": hashlib.sha256(secret.encode()).hexdigest()} | fields


def write(path: Path, *entries: dict[str, object]) -> None:
    path.write_text(json.dumps({"keys": list(entries)}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    write(path, entry(KEY, tenant="acme", tasks=["mood"]))
    return path


def guard(file: Path, **rules: object) -> Guard:
    verifier = TokenVerifier(MINT.jwks, issuer=ISSUER, audience=AUDIENCE)
    return Guard(GuardRules(**rules), keys=KeysOnDisk(file), verifier=verifier)


class TestKeys:
    def test_a_key_says_who_asks_and_for_whom(self, file: Path) -> None:
        caller = guard(file).admit(bearer(KEY), "10.0.0.1", now=NOW)
        assert (caller.name, caller.tenant) == ("key-k", "acme")

    @pytest.mark.parametrize(
        "header", [None, b"", b"Bearer", b"Basic abc", bearer(OTHER), bearer(KEY[:-1]), b"Bearer  " + KEY.encode()]
    )
    def test_without_a_known_key_nobody_gets_in(self, file: Path, header: bytes | None) -> None:
        with pytest.raises(NotAuthenticated):
            guard(file).admit(header, "10.0.0.1", now=NOW)

    def test_the_scheme_may_be_written_in_any_case(self, file: Path) -> None:
        assert guard(file).admit(b"bEARER " + KEY.encode(), "10.0.0.1", now=NOW).name == "key-k"

    def test_a_key_asks_its_tasks_only(self, file: Path) -> None:
        caller = guard(file).admit(bearer(KEY), "10.0.0.1", now=NOW)
        caller.require_task("mood")
        with pytest.raises(NotPermitted):
            caller.require_task("secrets")

    def test_an_expired_key_is_none(self, file: Path) -> None:
        write(file, entry(KEY, expires="2020-01-01T00:00:00Z"))
        with pytest.raises(NotAuthenticated, match="expired"):
            guard(file).admit(bearer(KEY), "10.0.0.1", now=NOW)

    def test_a_key_that_is_taken_out_of_the_file_is_none_a_second_later(self, file: Path) -> None:
        door = guard(file)
        door.admit(bearer(KEY), "10.0.0.1", now=NOW)
        write(file, entry(OTHER))
        os.utime(file, ns=(1, 1))
        with pytest.raises(NotAuthenticated):
            door.admit(bearer(KEY), "10.0.0.1", now=NOW + 1)
        assert door.admit(bearer(OTHER), "10.0.0.1", now=NOW + 1).name == "key-o"

    def test_a_file_that_breaks_leaves_the_keys_as_they_were_and_says_so(self, file: Path) -> None:
        keys = KeysOnDisk(file)
        file.write_text("{")
        keys.refresh()
        assert [caller.name for caller in keys.callers.values()] == ["key-k"]

    def test_an_entry_that_did_not_change_keeps_what_it_used_up(self, file: Path) -> None:
        write(file, entry(KEY, requests_per_min=1))
        door = guard(file)
        door.admit(bearer(KEY), "10.0.0.1", now=NOW)
        write(file, entry(KEY, requests_per_min=1), entry(OTHER))
        with pytest.raises(RateLimited):
            door.admit(bearer(KEY), "10.0.0.1", now=NOW + 1)

    def test_keys_can_be_written_as_yaml(self) -> None:
        [key] = read_keys(
            f"keys:\n  - id: a\n    sha256: '{'0' * 64}'\n    expires: 2027-01-01T00:00:00Z\n".encode()
        ).keys
        assert key.expires == datetime(2027, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        "text",
        [
            b"[]",
            b"{",
            b"keys: [",
            b'{"keys": [{"id": "a"}]}',
            b'{"keys": [{"id": "a", "sha256": "00"}]}',
            json.dumps({"keys": [entry(KEY), entry(KEY)]}).encode(),
            json.dumps({"keys": [entry(KEY, limit=3)]}).encode(),
            json.dumps({"keys": [entry(KEY, requests_per_min=0)]}).encode(),
        ],
    )
    def test_a_file_that_means_nothing_is_refused(self, text: bytes) -> None:
        with pytest.raises(ValueError, match=r"no file of keys|same id"):
            read_keys(text)


class TestTokens:
    def test_a_token_names_tenant_and_unit(self, file: Path) -> None:
        caller = guard(file).admit(bearer(MINT.token(sub="ada", tenant="acme")), "10.0.0.1", now=NOW)
        assert (caller.name, caller.tenant, caller.unit) == ("ada", "acme", "ada")

    def test_claims_with_other_names_can_be_set(self, file: Path) -> None:
        door = guard(file, unit_claim="uid", tenant_claim="org")
        caller = door.admit(bearer(MINT.token(uid="u1", org="acme")), "10.0.0.1", now=NOW)
        assert (caller.tenant, caller.unit) == ("acme", "u1")

    def test_a_verified_token_is_not_verified_again_but_ends_when_it_says(self, file: Path) -> None:
        made = datetime.now(UTC).timestamp()
        door, token = guard(file), MINT.token(ttl_s=100)
        caller = door.admit(bearer(token), "10.0.0.1", now=made)
        assert door.admit(bearer(token), "10.0.0.1", now=made + 50) is caller
        with pytest.raises(NotAuthenticated, match="expired"):
            door.admit(bearer(token), "10.0.0.1", now=made + 200)

    @pytest.mark.parametrize(
        "token", [TokenMint().token(), MINT.token(ttl_s=-60), MINT.token(tenant="a b"), "a.b.c", "é.b.c"]
    )
    def test_a_token_that_cannot_be_trusted_is_refused(self, file: Path, token: str) -> None:
        for required in (True, False):
            with pytest.raises(NotAuthenticated):
                guard(file, required=required).admit(f"Bearer {token}".encode("latin-1"), "10.0.0.1", now=NOW)

    def test_whoever_tries_many_forged_tokens_is_not_listened_to(self, file: Path) -> None:
        door = guard(file)
        for _ in range(60):
            with pytest.raises(NotAuthenticated):
                door.admit(bearer("a.b.c"), "10.0.0.1", now=NOW)
        with pytest.raises(RateLimited):
            door.admit(bearer("a.b.c"), "10.0.0.1", now=NOW)
        assert door.admit(bearer(KEY), "10.0.0.1", now=NOW).name == "key-k"


class TestOptional:
    @pytest.mark.parametrize("header", [None, b"Bearer not-needed-on-loopback", b"Bearer unused", b"Basic abc"])
    def test_who_has_no_key_of_ours_is_nobody_in_particular(self, file: Path, header: bytes | None) -> None:
        caller = guard(file, required=False).admit(header, "10.0.0.1", now=NOW)
        assert (caller.name, caller.tenant) == ("anonymous", None)

    def test_a_key_counts_all_the_same(self, file: Path) -> None:
        assert guard(file, required=False).admit(bearer(KEY), "10.0.0.1", now=NOW).tenant == "acme"

    def test_what_looks_like_a_key_of_ours_and_is_none_is_refused(self, file: Path) -> None:
        with pytest.raises(NotAuthenticated):
            guard(file, required=False).admit(bearer(OTHER), "10.0.0.1", now=NOW)


class TestLimits:
    def test_requests_of_a_key_are_counted(self, file: Path) -> None:
        write(file, entry(KEY, requests_per_min=2))
        door = guard(file)
        for _ in range(2):
            door.admit(bearer(KEY), "10.0.0.1", now=NOW)
        with pytest.raises(RateLimited) as refused:
            door.admit(bearer(KEY), "10.0.0.2", now=NOW)
        assert refused.value.facts["retry_after_s"] == 31
        door.admit(bearer(KEY), "10.0.0.1", now=NOW + 31)

    def test_requests_in_flight_of_a_key_are_counted_out(self, file: Path) -> None:
        write(file, entry(KEY, concurrent=1))
        door = guard(file)
        caller = door.admit(bearer(KEY), "10.0.0.1", now=NOW)
        with pytest.raises(RateLimited):
            door.admit(bearer(KEY), "10.0.0.1", now=NOW)
        caller.leave(NOW)
        door.admit(bearer(KEY), "10.0.0.1", now=NOW)

    def test_tokens_of_a_key_are_counted_after_the_answer(self, file: Path) -> None:
        write(file, entry(KEY, tokens_per_min=100))
        door = guard(file)
        door.admit(bearer(KEY), "10.0.0.1", now=NOW).leave(NOW, tokens=150)
        with pytest.raises(RateLimited):
            door.admit(bearer(KEY), "10.0.0.1", now=NOW + 29)
        door.admit(bearer(KEY), "10.0.0.1", now=NOW + 31)

    def test_requests_of_an_address_are_counted_if_that_is_set(self, file: Path) -> None:
        door = guard(file, requests_per_min=1, required=False)
        door.admit(None, "10.0.0.1", now=NOW)
        door.admit(None, "10.0.0.2", now=NOW)
        with pytest.raises(RateLimited):
            door.admit(None, "10.0.0.1", now=NOW)

    def test_operators_have_a_hundred_requests_a_minute(self, file: Path) -> None:
        door = guard(file)
        for _ in range(100):
            door.admit_operator("10.0.0.1", now=NOW)
        with pytest.raises(RateLimited):
            door.admit_operator("10.0.0.1", now=NOW)
        door.admit_operator("10.0.0.2", now=NOW)
