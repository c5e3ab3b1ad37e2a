"""Similar cases: which are shown, and what the template makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.contracts.tasks import Retrieval
from router_svc.domain.retrieving import Passage, query_of, shown_passages, template_with


def retrieval(**fields: object) -> Retrieval:
    return Retrieval.model_validate({"collection": "cases"} | fields)


def passage(text: str, score: float = 1.0, **facts: str) -> Passage:
    return Passage(title="", text=text, facts=tuple(facts.items()), score=score)


def test_passages_come_before_the_question_with_what_is_known_of_them() -> None:
    template = template_with([passage("2x=4", 대분류="대수")], retrieval(), user_template="Problem: {input}")
    assert template == "2x=4\n대분류: 대수\n\nProblem: {input}"


def test_a_template_of_ones_own_has_its_places_filled_once() -> None:
    wanted = retrieval(template="Q: {question} {passages} {other}")
    hostile = passage("{question} {passages} {input}")
    assert (
        template_with([hostile], wanted, user_template="{input}!")
        == "Q: {input}! {question} {passages} { input } {other}"
    )


def test_passages_below_the_score_are_left_out() -> None:
    found = [passage("near", 0.9), passage("far", 0.1)]
    assert shown_passages(found, retrieval(min_score=0.5)) == "near"
    assert template_with([passage("far", 0.1)], retrieval(min_score=0.5), user_template="{input}") == "{input}"


def test_a_passage_that_does_not_fit_makes_room_for_a_shorter_one() -> None:
    found = [passage("a" * 60), passage("b" * 60), passage("c" * 30)]
    assert shown_passages(found, retrieval(max_chars=100)) == "a" * 60 + "\n\n" + "c" * 30


@given(texts=st.lists(st.text(max_size=300), max_size=30), max_chars=st.integers(100, 500), top_k=st.integers(1, 20))
def test_never_more_is_shown_than_the_policy_says(texts: list[str], max_chars: int, top_k: int) -> None:
    assert (
        len(shown_passages([passage(text) for text in texts], retrieval(max_chars=max_chars, top_k=top_k))) <= max_chars
    )


@pytest.mark.parametrize(("text", "query"), [("  x ", "x"), ("", ""), ("\n", ""), ("a" * 3000, "a" * 2000)])
def test_a_query_is_what_the_search_takes(text: str, query: str) -> None:
    assert query_of(text) == query
