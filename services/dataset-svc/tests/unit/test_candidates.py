"""Candidates say of their samples what is decided by."""

import unicodedata
from collections.abc import Callable
from hashlib import sha256

import msgspec
import pytest

from dataset_svc.domain.candidates import Candidate, candidate_of, renamed
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.samples import Sample, Turn, encode, same_text
from loopwright.contracts.datasets import SampleSource

SampleBuilder = Callable[..., Sample]
KEPT = LinesInMemory()


def made_of(sample: Sample) -> Candidate:
    return candidate_of(sample, KEPT)


def test_the_line_gives_the_whole_sample_back(a_sample: SampleBuilder) -> None:
    sample = a_sample(
        "왜  멈췄나요?\n", "디스크", metadata={"row": 1, "rate": 0.1, "ok": True}, tools="[]", thumb=False, group="g"
    )
    candidate = made_of(sample)
    assert (candidate.line_in(KEPT), candidate.sample_in(KEPT)) == (encode(sample), sample)
    assert candidate.line_sha256 == sha256(encode(sample)).digest()
    assert (candidate.question, candidate.is_avoided) == ("왜 멈췄나요?", True)


def test_what_reads_the_same_has_the_same_hashes(a_sample: SampleBuilder) -> None:
    one, spaced, other = (made_of(a_sample(*texts)) for texts in (("a b", "c"), ("a  b\n", " c"), ("A b", "C")))
    assert (one.question_sha256, one.answer_sha256) == (spaced.question_sha256, spaced.answer_sha256)
    assert one.question_sha256 != other.question_sha256
    assert one.answer_sha256 != other.answer_sha256


def test_the_system_prompt_is_no_part_of_the_question(a_sample: SampleBuilder) -> None:
    turns = (Turn("system", "be brief"), Turn("user", "disk full"), Turn("assistant", "alert"))
    assert made_of(a_sample(messages=turns)).question == made_of(a_sample()).question


def test_an_answer_to_avoid_and_one_that_was_preferred_mean_something_else(a_sample: SampleBuilder) -> None:
    samples = [a_sample(), a_sample(thumb=False), a_sample(rejected="no"), a_sample(rejected="no", thumb=False)]
    assert len({made_of(sample).meaning for sample in samples}) == len(samples)
    assert made_of(a_sample(thumb=True)).meaning == made_of(a_sample()).meaning


def test_a_new_name_is_in_the_line_as_well(a_sample: SampleBuilder) -> None:
    candidate = renamed(made_of(a_sample(sample_id="one")), "two", KEPT)
    other = made_of(a_sample(sample_id="two"))
    assert candidate.line_in(KEPT) == other.line_in(KEPT)
    assert msgspec.structs.replace(candidate, first_byte=other.first_byte) == other


def test_corrections_come_first_then_weight_then_the_name(a_sample: SampleBuilder) -> None:
    def a_candidate(name: str, **fields: object) -> Candidate:
        return made_of(a_sample(sample_id=name, **fields))

    ordered = [
        a_candidate("z", source=SampleSource.CORRECTION, weight_0_1=0.1), a_candidate("y", weight_0_1=0.9),
        a_candidate("a", weight_0_1=0.5), a_candidate("b", weight_0_1=0.5),
    ]  # fmt: skip
    backwards = ordered[::-1]
    assert sorted(backwards, key=lambda one: one.preference) == ordered


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        " edges ",
        "two  spaces",
        "tab\tand\nline",
        "nul\0byte",
        "wide\u3000space",
        "no\u00a0break",
        "e\u0301 composes",
        "\u1112\u1161\u11ab\u1100\u1173\u11af  한글",
        "a \u0301",
        "\u2000quad",
        "half \ud83d",
        "",
    ],
)
def test_same_text_composes_and_leaves_single_spaces_only(text: str) -> None:
    assert same_text(text) == " ".join(unicodedata.normalize("NFC", text.replace("\0", " ")).split())


@pytest.mark.parametrize(
    ("roles", "question"),
    [
        (("user", "assistant"), "said by the user"),
        (("system", "user", "assistant"), "said by the user"),
        (("system", "system", "assistant"), ""),
        (("assistant",), ""),
        (("user", "user", "assistant"), "user: 0\nuser: 1"),
        (("user", "system", "assistant"), "said by the user"),
    ],
)
def test_the_question_is_the_input_where_one_turn_asks_it(
    a_sample: SampleBuilder, roles: tuple[str, ...], question: str
) -> None:
    turns = tuple(Turn(role, str(place)) for place, role in enumerate(roles))
    assert a_sample("said by the user", messages=turns).question == question
