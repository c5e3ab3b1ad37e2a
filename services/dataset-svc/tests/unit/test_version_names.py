"""Names and addresses of versions, and the recipe that a version's id follows from."""

import dataclasses
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.versions.recipes import VersionRecipe, recipe_sha256, version_id_of
from dataset_svc.domain.versions.version_refs import (
    AddressKind,
    RefKind,
    check_delete,
    check_move,
    check_new_name,
    parse_address,
)
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import Conflict, Invalid, NotPermitted

RECIPE = VersionRecipe(
    source_sha256s=("a" * 64,), task_id="logs", dataset_name="logs", policy=DataPolicy(), parent_version_id="dsv-1",
    read_as=None, max_line_bytes=1000, erased_units=("u1", "u2"), case_version_ids=("dsv-7", "dsv-8"),
    options={"tokenizer": "x"},
)  # fmt: skip


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("latest", AddressKind.LATEST), ("3", AddressKind.NUMBER), ("v12", AddressKind.NUMBER), ("main", AddressKind.NAME),
            ("dsv-0123", AddressKind.ID), ("v1.2", AddressKind.NAME), ("release-3", AddressKind.NAME),
        ],
    )  # fmt: skip
    def test_are_told_apart(self, text, kind):
        assert parse_address(text).kind is kind

    def test_carry_their_number(self):
        assert (parse_address("12").number, parse_address("v7").number) == (12, 7)

    @pytest.mark.parametrize("text", ["", "0", "-1", "1e3", "a/b", "../x", "a\0", "ä", "9" * 30, "x" * 101, "main\n"])
    def test_that_are_none_are_refused(self, text):
        with pytest.raises(Invalid, match="bad-address"):
            parse_address(text)

    @given(st.text())
    def test_are_read_or_refused_whatever_they_are(self, text):
        with suppress(Invalid):
            assert parse_address(text).text == text


class TestNames:
    @pytest.mark.parametrize("name", ["latest", "v3", "12", "dsv-abc", "a b", "", "-x", "a\n"])
    def test_that_read_as_something_else_are_refused(self, name):
        with pytest.raises(Invalid, match="bad-ref-name"):
            check_new_name(name, RefKind.TAG)

    def test_main_is_a_branch(self):
        check_new_name("main", RefKind.BRANCH)
        with pytest.raises(Invalid):
            check_new_name("main", RefKind.TAG)

    def test_branches_move_for_anybody_and_tags_for_an_admin_with_a_reason(self):
        check_move(RefKind.BRANCH, may_move_tags=False, reason="")
        check_move(RefKind.TAG, may_move_tags=True, reason="wrong one")
        with pytest.raises(NotPermitted, match="tag-immutable"):
            check_move(RefKind.TAG, may_move_tags=False, reason="wrong one")
        with pytest.raises(Conflict, match="tag-immutable"):
            check_move(RefKind.TAG, may_move_tags=True, reason=" ")

    def test_tags_go_as_they_move_and_main_never(self):
        check_delete("work", RefKind.BRANCH, may_move_tags=False, reason="")
        with pytest.raises(NotPermitted):
            check_delete("v1.0", RefKind.TAG, may_move_tags=False, reason="old")
        with pytest.raises(Conflict, match="main-stays"):
            check_delete("main", RefKind.BRANCH, may_move_tags=True, reason="old")


class TestRecipes:
    def test_of_the_same_inputs_are_the_same(self):
        again = dataclasses.replace(
            RECIPE,
            erased_units=frozenset({"u2", "u1"}),
            case_version_ids=("dsv-8", "dsv-7"),
            policy=DataPolicy(),
            options=dict(RECIPE.options),
        )
        assert recipe_sha256(again) == recipe_sha256(RECIPE)

    @pytest.mark.parametrize(
        "change",
        [
            {"source_sha256s": ("b" * 64,)}, {"source_sha256s": ("a" * 64, "b" * 64)}, {"task_id": "other"},
            {"dataset_name": "other"}, {"policy": DataPolicy(min_samples=5)}, {"parent_version_id": None},
            {"parent_version_id": "dsv-2"}, {"read_as": "upload"}, {"max_line_bytes": 999}, {"erased_units": ("u1",)},
            {"case_version_ids": ("dsv-7",)}, {"case_version_ids": ()}, {"options": {}}, {"options": {"tokenizer": "y"}},
        ],
    )  # fmt: skip
    def test_differ_when_anything_that_bytes_follow_from_differs(self, change):
        assert recipe_sha256(dataclasses.replace(RECIPE, **change)) != recipe_sha256(RECIPE)

    def test_change_with_the_code(self, monkeypatch):
        before = recipe_sha256(RECIPE)
        monkeypatch.setattr("dataset_svc.domain.versions.recipes.CODE_VERSION", 0)
        assert recipe_sha256(RECIPE) != before

    def test_and_content_make_the_id(self):
        ids = {version_id_of("r", "c"), version_id_of("r", "d"), version_id_of("s", "c")}
        assert len(ids) == 3
        assert all(parse_address(one).kind is AddressKind.ID for one in ids)
