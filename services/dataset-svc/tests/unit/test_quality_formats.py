"""Answers are held to the task's schema, and conversations to the order of their roles; nothing is ever fetched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.quality.formats import AnswerSchema, has_roles_in_order
from dataset_svc.domain.quality.parts import Part
from dataset_svc.domain.quality.scoring import score_samples
from dataset_svc.domain.samples import Turn
from loopwright.contracts.base import JsonObject
from loopwright.contracts.tasks import QualityPolicy
from loopwright.errors import Invalid

STATUS: JsonObject = {
    "type": "object",
    "properties": {"status": {"enum": ["alert", "normal"]}},
    "required": ["status"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("answer", ['{"status":"alert"}', ' {"status": "normal"}\n'])
def test_an_answer_that_satisfies_the_schema_is_flawless(a_sample, answer: str) -> None:
    (scores,) = score_samples([a_sample("kernel panic", answer)], QualityPolicy(), answer_schema=STATUS)
    assert (scores.total, scores.reasons) == (1.0, ())


@pytest.mark.parametrize(
    "answer",
    [
        '{"status":"maybe"}',
        '{"state":"alert"}',
        "alert",
        '"alert"',
        "[]",
        '{"status":"alert"',
        "[" * 100_000,
        "",
        "NaN",
    ],
)
def test_an_answer_against_the_schema_scores_nothing_for_format(a_sample, answer: str) -> None:
    (scores,) = score_samples([a_sample("kernel panic", answer)], QualityPolicy(), answer_schema=STATUS)
    assert scores.part(Part.FORMAT) == 0
    assert "format.schema" in {reason.code for reason in scores.reasons}


def test_plain_text_satisfies_a_schema_of_strings() -> None:
    schema = AnswerSchema({"type": "string", "enum": ["alert", "normal"]})
    assert schema.satisfied(["alert", '"alert"', "other", "7"]).tolist() == [True, True, False, False]


@pytest.mark.parametrize("schema", [{"type": "no such type"}, {"properties": 7}, {"required": "status"}])
def test_what_is_no_schema_is_refused(schema: JsonObject) -> None:
    with pytest.raises(Invalid, match=r"quality\.bad-answer-schema"):
        AnswerSchema(schema)


@pytest.mark.parametrize("reference", ["https://schemas.invalid/answer", "#/nowhere", "#"])
def test_references_are_never_followed_out_of_the_schema(reference: str) -> None:
    with pytest.raises(Invalid, match=r"quality\.bad-answer-schema"):
        AnswerSchema({"$ref": reference}).satisfied(["{}"])


@pytest.mark.parametrize(
    ("roles", "ordered"),
    [
        ("user assistant", True),
        ("system user assistant", True),
        ("developer user assistant user assistant", True),
        ("user assistant tool assistant", True),
        ("user function_call observation assistant user assistant", True),
        ("user tool tool assistant", True),
        ("assistant", False),
        ("user", False),
        ("user user assistant", False),
        ("user assistant assistant", False),
        ("assistant user assistant", False),
        ("user system assistant", False),
        ("user stranger assistant", False),
        ("user assistant user", False),
    ],
)
def test_roles_take_turns(roles: str, *, ordered: bool) -> None:
    assert has_roles_in_order(tuple(roles.split())) is ordered


def test_a_conversation_out_of_order_says_so(a_sample) -> None:
    turns = (Turn("assistant", "Hello."), Turn("user", "disk full"), Turn("assistant", "alert"))
    (scores,) = score_samples([a_sample(messages=turns)], QualityPolicy())
    assert [reason.code for reason in scores.reasons] == ["format.role-order"]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_answer_is_judged_without_a_crash(answer: str) -> None:
    assert AnswerSchema(STATUS).satisfied([answer]).shape == (1,)
