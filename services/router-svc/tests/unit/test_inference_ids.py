"""Ids say what they were made of, cannot be changed by a byte, expire, and fit into the platform's identifiers."""

import base64
import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from loopwright.contracts.base import Identifier
from loopwright.errors import Expired, NotPermitted
from router_svc.domain.inference_ids import MOST_EPOCHS, NONCE_BYTES, PREFIX, InferenceFacts, InferenceIds
from router_svc.domain.packing import (
    EXPERIMENT_CHARACTERS,
    TASK_CHARACTERS,
    VARIANT_CHARACTERS,
    pack_names,
    unpack_names,
)

IDS = InferenceIds(b"k" * 32)
NONCE = b"\1" * NONCE_BYTES
NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
FACTS = InferenceFacts(
    task_id="log-anomaly",
    task_version=3,
    experiment_id="exp-5d2a41",
    variant_id="log-anomaly:1",
    unit_hash=IDS.hash_unit("ada"),
    issued_ms=NOW_MS,
    epoch=2,
    arm=1,
)


def names(longest: int) -> st.SearchStrategy[str]:
    first, rest = string.ascii_letters + string.digits, string.ascii_letters + string.digits + "._:@-"
    return st.builds(str.__add__, st.sampled_from(first), st.text(rest, max_size=longest - 1))


facts = st.builds(
    InferenceFacts,
    task_id=names(TASK_CHARACTERS),
    task_version=st.integers(1, 2**32 - 1),
    experiment_id=st.none() | names(EXPERIMENT_CHARACTERS),
    variant_id=names(VARIANT_CHARACTERS),
    unit_hash=st.binary(min_size=16, max_size=16).map(bytes.hex),
    issued_ms=st.integers(0, 2**48 - 1),
    epoch=st.none() | st.integers(1, MOST_EPOCHS),
    arm=st.none() | st.integers(0, 9),
)
tenants = st.none() | st.text(min_size=1)


def read(text: str, *, now_ms: int = NOW_MS, ids: InferenceIds = IDS, tenant: str | None = None) -> InferenceFacts:
    return ids.read(text, now_ms=now_ms, max_age_ms=90 * DAY_MS, tenant=tenant)


@given(facts=facts, tenant=tenants, nonce=st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES))
def test_an_id_says_what_it_was_made_of(facts: InferenceFacts, tenant: str | None, nonce: bytes) -> None:
    facts = replace(facts, tenant_hash=IDS.hash_tenant(tenant))
    text = IDS.sign(facts, nonce=nonce)
    assert read(text, now_ms=facts.issued_ms, tenant=tenant) == facts
    assert TypeAdapter(Identifier).validate_python(text) == text


@given(facts=facts, tenant=tenants, other=tenants)
def test_an_id_of_one_tenant_is_refused_to_every_other_and_to_nobodys(
    facts: InferenceFacts, tenant: str | None, other: str | None
) -> None:
    if tenant == other:
        return
    text = IDS.sign(replace(facts, tenant_hash=IDS.hash_tenant(tenant)), nonce=NONCE)
    with pytest.raises(NotPermitted) as refused:
        read(text, now_ms=facts.issued_ms, tenant=other)
    assert refused.value.code == "rating.other-tenant"


def test_a_forged_id_of_another_tenant_is_a_forged_one() -> None:
    text = IDS.sign(replace(FACTS, tenant_hash=IDS.hash_tenant("acme")), nonce=NONCE)
    with pytest.raises(NotPermitted) as refused:
        read(text[:-1] + ("A" if text[-1] != "A" else "B"))
    assert refused.value.code == "rating.forged-id"


def test_the_longest_id_is_an_identifier_of_two_hundred_characters() -> None:
    longest = replace(
        FACTS,
        task_id="z" * TASK_CHARACTERS,
        experiment_id="z" * EXPERIMENT_CHARACTERS,
        variant_id="z" * VARIANT_CHARACTERS,
    )
    assert len(IDS.sign(longest, nonce=NONCE)) == 200


@given(seed=st.binary(min_size=1))
def test_a_signed_id_of_another_format_is_refused(seed: bytes) -> None:
    content = bytes([1]) + seed + bytes(60)
    text = PREFIX + base64.urlsafe_b64encode(content + IDS._mac(content)).rstrip(b"=").decode()
    with pytest.raises(NotPermitted):
        read(text)


def test_the_longest_names_fit() -> None:
    longest = ("z" * TASK_CHARACTERS, "z" * EXPERIMENT_CHARACTERS, "z" * VARIANT_CHARACTERS)
    assert unpack_names(pack_names(longest)) == longest


def test_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="bytes of an id"):
        pack_names(("z" * 50, "z" * 50, "z" * 50))
    with pytest.raises(ValueError, match="not a character"):
        pack_names(("로그",))


@settings(max_examples=500)
@given(place=st.integers(min_value=0), other=st.sampled_from(string.printable))
def test_every_changed_character_is_refused(place: int, other: str) -> None:
    text = IDS.sign(FACTS, nonce=NONCE)
    place %= len(text)
    if text[place] == other:
        return
    with pytest.raises(NotPermitted) as refused:
        read(text[:place] + other + text[place + 1 :])
    assert refused.value.code == "rating.forged-id"


@pytest.mark.parametrize("extra", ["=", "A", "\n", " "])
def test_an_id_has_one_spelling(extra: str) -> None:
    with pytest.raises(NotPermitted):
        read(IDS.sign(FACTS, nonce=NONCE) + extra)


@given(st.text())
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(NotPermitted):
        read(text)


def test_another_secret_refuses_it() -> None:
    with pytest.raises(NotPermitted):
        read(IDS.sign(FACTS, nonce=NONCE), ids=InferenceIds(b"x" * 32))


def test_it_expires_after_its_age_and_not_before() -> None:
    text = IDS.sign(FACTS, nonce=NONCE)
    assert read(text, now_ms=NOW_MS + 90 * DAY_MS) == FACTS
    with pytest.raises(Expired) as expired:
        read(text, now_ms=NOW_MS + 90 * DAY_MS + 1)
    assert expired.value.code == "rating.id-expired"


def test_a_unit_hash_hides_the_unit_and_needs_the_secret() -> None:
    assert IDS.hash_unit("ada") == IDS.hash_unit("ada")
    assert len({IDS.hash_unit("ada"), IDS.hash_unit("grace"), InferenceIds(b"x" * 32).hash_unit("ada")}) == 3
