"""Metrics against their definitions, worked by hand or by another program."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from registry_svc.domain.metrics.measuring import JUDGE, NATS, TOKENS, difference, measure
from registry_svc.domain.metrics.running import perplexity, quantile, tokens_per_s
from registry_svc.domain.metrics.structured import json_fields, label_of, macro_f1
from registry_svc.domain.metrics.texts import chrf, exact_match, longest_common_subsequence, rouge_l
from registry_svc.domain.scoring import CaseAnswer, compare_texts

TEXTS = st.text(max_size=30)
SCHEMA = {"type": "object", "properties": {"status": {"type": "string"}, "level": {}, "why": {}}}


def an_answer(number: int, **changes: object) -> CaseAnswer:
    standard: dict[str, object] = {
        "variant_id": "m:2", "number": number, "sample_id": f"s{number}", "expected": '{"status": "alert"}',
        "answer": '{"status": "alert"}', "error": None, "correct": True, "schema_valid": True, "latency_ms": 10.0,
        "inference_id": None, "output_tokens": 5, "scores": {"rouge_l": 0.5},
    }  # fmt: skip
    return CaseAnswer(**standard | changes)


def naive_subsequence(one: list[str], other: list[str]) -> int:
    for length in range(min(len(one), len(other)), 0, -1):
        if set(combinations(one, length)) & set(combinations(other, length)):
            return length
    return 0


class TestRougeL:
    def test_follows_the_example_of_the_paper(self):
        # Lin 2004, section 3.1: "police kill the gunman" has 3 of the 4 words in order, "the gunman kill police" 2
        assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(0.75)
        assert rouge_l("the gunman kill police", "police killed the gunman") == pytest.approx(0.5)

    @given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
    def test_finds_the_longest_common_subsequence(self, one: list[str], other: list[str]):
        assert longest_common_subsequence(one, other) == naive_subsequence(one, other)

    def test_reads_korean_words_and_ignores_case_and_punctuation(self):
        assert rouge_l("디스크가 가득, 찼습니다!", "디스크가 가득 찼습니다") == 1
        assert rouge_l("DISK full.", "disk full") == 1

    def test_of_nothing(self):
        assert rouge_l("", "") == 1
        assert rouge_l("", "words") == rouge_l("words", "") == 0

    @given(TEXTS, TEXTS)
    def test_lies_between_0_and_1(self, one: str, other: str):
        assert 0 <= rouge_l(one, other) <= 1
        assert rouge_l(one, one) == 1


class TestChrf:
    def test_has_the_values_of_its_definition(self):
        # order 1: 1 of 2 in common, order 2: none of 1; mean precision and recall are 1/4
        assert chrf("aa", "ab") == pytest.approx(0.25)
        assert chrf("a b c", "abc") == 1
        assert chrf("abcdefg", "hijklmn") == 0
        assert chrf("", "reference") == chrf("answer", "") == 0

    @given(TEXTS, TEXTS)
    def test_agrees_with_a_plain_reading_of_popovic(self, one: str, other: str):
        ours, theirs = "".join(one.split()), "".join(other.split())
        if min(len(ours), len(theirs)) < 6:
            return
        precisions, recalls = [], []
        for order in range(1, 7):
            given_, wanted = ([text[i : i + order] for i in range(len(text) - order + 1)] for text in (ours, theirs))
            common = sum((Counter(given_) & Counter(wanted)).values())
            precisions.append(common / len(given_))
            recalls.append(common / len(wanted))
        p, r = np.mean(precisions), np.mean(recalls)
        assert chrf(ours, theirs) == pytest.approx(5 * p * r / (4 * p + r) if p + r else 0, abs=1e-12)

    def test_prefers_recall(self):
        assert chrf("the disk is full", "the disk is") > chrf("the disk is", "the disk is full")


class TestExactMatch:
    def test_ignores_outer_space_and_composition_only(self):
        assert exact_match(" 경보\n", "경보") == 1
        assert exact_match("\u1100\u1167\u11bc\u1107\u1169", "경보") == 1
        assert exact_match("Alert", "alert") == 0


class TestMacroF1:
    @given(st.lists(st.tuples(st.sampled_from("abcx"), st.sampled_from("abc")), min_size=1, max_size=40))
    def test_agrees_with_scikit_learn(self, pairs: list[tuple[str, str]]):
        given_, expected = [one for one, _ in pairs], [other for _, other in pairs]
        labels = sorted(set(expected))
        theirs = f1_score(expected, given_, labels=labels, average="macro", zero_division=0)
        assert macro_f1(given_, expected) == pytest.approx(theirs)

    def test_names_the_class_of_an_answer(self):
        assert label_of('{"status": "alert"}', field="status") == "alert"
        assert label_of('{"level": 3}', field="level") == "3"
        assert label_of(" yes\n", field=None) == "yes"
        assert label_of("[" * 100_000, field="status") == label_of('{"status": {}}', field="status") == ""


class TestJsonFields:
    def test_says_field_by_field_what_agrees(self):
        expected = '{"status": "alert", "level": 1}'
        fields = json_fields('{"status": "alert", "level": true, "more": 1}', expected, schema=SCHEMA)
        assert fields == {"field.status": 1.0, "field.level": 0.0}

    def test_is_wrong_in_every_field_without_json(self):
        assert json_fields("alert", '{"status": "alert"}', schema=SCHEMA) == {"field.status": 0.0}

    @given(TEXTS, TEXTS)
    def test_never_fails_on_what_a_model_writes(self, answer: str, expected: str):
        compare_texts(answer, expected, schema=SCHEMA)


class TestRunning:
    def test_quantiles_are_numpys(self):
        assert quantile([10, 20, 30, 40], 0.5) == 25
        assert quantile([10, 20, 30, 40], 0.95) == pytest.approx(38.5)

    def test_speed_counts_all_waiting(self):
        assert tokens_per_s([10, 30], [500, 1500]) == 20
        assert tokens_per_s([1], [0]) is None

    def test_perplexity_weighs_answers_by_their_tokens(self):
        # two tokens of probability 1/2 and one of 1/4: (1/16) ** (-1/3)
        nats = [2 * np.log(2), np.log(4)]
        assert perplexity(nats, [2, 1]) == pytest.approx(16 ** (1 / 3))
        assert perplexity([], []) is None
        assert perplexity([1e6], [1]) is None


class TestMeasure:
    def test_measures_both_variants_and_their_difference(self):
        candidate = [an_answer(n, correct=n > 1) for n in range(1, 11)]
        champion = [an_answer(n, variant_id="m:1", correct=n > 5) for n in range(1, 11)]
        found = measure(candidate, champion, answer_field="status")

        accuracy = found.of_candidate("accuracy")
        assert (accuracy.value, accuracy.cases) == (0.9, 10)
        assert (accuracy.lower, accuracy.upper) == pytest.approx((0.5958, 0.9821), abs=1e-4)
        (change,) = [one for one in found.differences if one.name == "accuracy"]
        assert change.value == pytest.approx(0.4)
        assert change.p_value == pytest.approx(0.125)
        assert change.method == "Newcombe 1998, method 10"
        assert found.of_candidate("latency_p95_ms").value == 10
        assert found.of_candidate("tokens_per_answer").value == 5
        assert found.of_candidate("tokens_per_s").value == 500
        assert found.of_candidate("macro_f1").value == 1

    def test_says_why_a_metric_cannot_be_computed(self):
        answers = [an_answer(1, scores={"custom.tone": None}), an_answer(2, scores={"custom.tone": 0.5})]
        answers.append(an_answer(3, output_tokens=None, scores={"custom.tone": 1.0}))
        found = measure(answers, not_measured={JUDGE: "no judge is set"})

        assert found.of_candidate("custom.tone").why_not == "custom.tone could not be computed on 1 of 3 cases"
        assert found.of_candidate("tokens_per_s").why_not == "the server counted the tokens of 2 of 3 answers"
        assert found.of_candidate("perplexity").value is None
        assert found.of_candidate(JUDGE).why_not == "no judge is set"
        assert "only accuracy" in (found.of_candidate("bleurt").why_not or "")
        assert found.champion == found.differences == ()

    def test_free_texts_have_no_classes(self):
        answers = [an_answer(n, expected=f"text {n}") for n in range(4)]
        assert (
            measure(answers).of_candidate("macro_f1").why_not
            == "4 different expected answers in 4 cases are no classes"
        )

    def test_perplexity_is_made_of_every_case_and_shown_as_one_figure(self):
        answers = [an_answer(n, scores={NATS: 2.0, TOKENS: 2.0}) for n in range(3)]
        found = measure(answers)
        assert found.of_candidate("perplexity").value == pytest.approx(np.e)
        assert NATS not in {one.name for one in found.candidate}

    def test_a_difference_needs_the_same_cases(self):
        assert difference([an_answer(1)], [an_answer(2)], "accuracy", confidence=0.95).value is None

    def test_a_field_that_only_some_cases_expect_is_compared_there(self):
        ours = [an_answer(1, scores={"field.why": 1.0}), an_answer(2, scores={})]
        theirs = [an_answer(1, scores={"field.why": 0.0}), an_answer(2, scores={})]
        assert difference(ours, theirs, "field.why", confidence=0.95).value == 1
