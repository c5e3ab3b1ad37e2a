"""Totals follow the task's weights, filters drop with a reason that is counted, and any text at all can be scored."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dataset_svc.domain.quality.filters import QualityReason, reasons_to_drop
from dataset_svc.domain.quality.parts import BIT, FLAWS, PARTS, Language, Part
from dataset_svc.domain.quality.scoring import SampleScores, score_samples, score_table
from dataset_svc.domain.samples import Sample, Turn
from loopwright.contracts.datasets import SampleSource
from loopwright.contracts.tasks import QualityPolicy, QualityWeights

NOTHING = dict.fromkeys(PARTS, 0.0)
ASK, FINE = "서버가 왜 멈췄나요?", "디스크가 가득 차서 서버가 멈췄습니다."
TOXIC, BIASED, ENGLISH = (
    "씨발 몰라",
    "조선족은 다 나가라",
    "It stopped because the disk was full and could not be written to.",
)


def sample(question: str, answer: str) -> Sample:
    turns = (Turn("user", question), Turn("assistant", answer))
    return Sample(
        sample_id="s",
        task_id="t",
        input=question,
        messages=turns,
        source=SampleSource.UPLOAD,
        inference_id=None,
        rating_ids=(),
        unit_hash=None,
        weight_0_1=1.0,
    )


def scored(*answers: str, policy: QualityPolicy | None = None) -> list[SampleScores]:
    return score_samples([sample(ASK, answer) for answer in answers], policy or QualityPolicy())


def test_the_total_is_the_weighted_harmonic_mean_of_the_parts() -> None:
    weights = QualityWeights(**(NOTHING | {"toxicity": 3, "format": 1}))
    (scores,) = scored(TOXIC, policy=QualityPolicy(weights=weights))
    assert scores.part(Part.TOXICITY) < 1
    assert scores.total == pytest.approx(4 / (3 / scores.part(Part.TOXICITY) + 1 / scores.part(Part.FORMAT)), abs=1e-4)


@pytest.mark.parametrize("part", PARTS)
def test_each_weight_reaches_its_own_part(part: Part) -> None:
    rows = [
        sample(ASK, TOXIC),
        sample(ASK, BIASED),
        sample(ASK, ENGLISH),
        sample(ASK, ASK),
        sample(ASK, "{"),
        sample(ASK, ""),
    ]
    rows += [sample(ASK, "가갉 " * 40), sample(ASK, "몇일 안되요")]
    policy = QualityPolicy(weights=QualityWeights(**(NOTHING | {part: 2})))
    found = score_samples(rows, policy)
    assert [scores.total for scores in found] == [max(0.02, scores.part(part)) for scores in found]
    assert min(scores.total for scores in found) < 1


def test_one_failed_part_is_not_averaged_away() -> None:
    empty, fine = scored("", FINE)
    assert empty.total < 0.3 < fine.total == 1


def test_weights_are_not_negative_and_not_all_nothing() -> None:
    with pytest.raises(ValidationError):
        QualityWeights(length=-1)
    with pytest.raises(ValidationError):
        QualityWeights(**NOTHING)


def test_the_default_policy_drops_nothing() -> None:
    table = score_table([sample(ASK, answer) for answer in (FINE, TOXIC, BIASED, ENGLISH, "")], QualityPolicy())
    assert reasons_to_drop(table, QualityPolicy()) == {}


def test_each_filter_drops_with_its_reason() -> None:
    policy = QualityPolicy(min_score_0_1=0.9, max_toxicity_0_1=0.3, max_bias_0_1=0.3, languages=(Language.KOREAN,))
    answers = (FINE, TOXIC, BIASED, ENGLISH, "", TOXIC)
    assert reasons_to_drop(score_table([sample(ASK, answer) for answer in answers], policy), policy) == {
        1: QualityReason.TOXIC,
        2: QualityReason.BIASED,
        3: QualityReason.LANGUAGE,
        4: QualityReason.LOW_SCORE,
        5: QualityReason.TOXIC,
    }


def test_a_longer_answer_or_more_tokens_than_allowed_cost_length() -> None:
    policy = QualityPolicy(max_answer_chars=10, max_tokens=5)
    (scores,) = score_samples([sample(ASK, FINE)], policy, tokens=[9])
    assert {reason.code for reason in scores.reasons} == {"length.too-long", "length.too-many-tokens"}
    (uncounted,) = score_samples([sample(ASK, "네")], policy)
    assert uncounted.part(Part.LENGTH) == 1


@pytest.mark.parametrize(
    ("question", "answer", "language"),
    [
        (ASK, FINE, Language.KOREAN),
        ("Why?", ENGLISH, Language.ENGLISH),
        (ASK, '{"status":"alert"}', Language.KOREAN),
        (ASK, "alert", Language.KOREAN),
        ("Why?", "Der Server ist nicht da und die Platte ist voll", Language.OTHER),
        ("Why?", "サーバーが停止しました", Language.OTHER),
        ("Зачем?", "Потому что диск полон", Language.OTHER),
        ("Why?", "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }", Language.CODE),
        (
            "요약",
            "이 함수는 the server is down because of the disk 라는 문장을 and then it returns to the caller 식으로 돌려줍니다",
            Language.MIXED,
        ),
        ("?", "!!!", Language.NONE),
        ("GPU 메모리", "PyTorch에서 CUDA 메모리를 비우려면 empty_cache를 호출하세요.", Language.KOREAN),
    ],
)
def test_the_language_is_that_of_the_answer_or_of_the_question_where_the_answer_is_a_label(
    question: str, answer: str, language: Language
) -> None:
    (scores,) = score_samples([sample(question, answer)], QualityPolicy())
    assert scores.language is language


def test_scores_do_not_depend_on_the_batch() -> None:
    rows = [
        sample(ASK, answer) for answer in (FINE, TOXIC, BIASED, ENGLISH, "", "몇일 안되요", "a" * 50, "{", "끝\n" * 30)
    ]
    alone = [score_samples([row], QualityPolicy())[0] for row in rows]
    together = score_samples(rows * 1000, QualityPolicy())
    assert together == alone * 1000


def test_no_samples_give_no_scores() -> None:
    assert score_samples([], QualityPolicy()) == []


def test_every_flaw_has_its_own_bit_words_and_part() -> None:
    assert sorted(BIT.values()) == list(range(len(FLAWS)))
    assert len(FLAWS) < 63
    assert {flaw.part for flaw in FLAWS} == set(PARTS)


# any code point, lone surrogates included, and the signs that the compiled loops look for
ANYTHING = st.one_of(
    st.text(alphabet=st.characters(codec=None), max_size=80),
    st.text(alphabet="시발ㅅㅂ fuck1!.@{}[]()`\n'\"\u200b\ud800\uffff\U0001f600", max_size=80),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(ANYTHING, ANYTHING), max_size=4))
def test_any_text_gets_scores_between_0_and_1(pairs: list[tuple[str, str]]) -> None:
    for scores in score_samples([sample(question, answer) for question, answer in pairs], QualityPolicy()):
        assert all(0 <= part <= 1 for part in (*scores.parts, scores.total))
        lowered = {part for part in PARTS if scores.part(part) < 1}
        assert lowered == {reason.part for reason in scores.reasons}
