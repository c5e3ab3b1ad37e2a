"""What the modes make of a sample, and that a batch is masked as its samples alone would be."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.personal.masking import Masked, Masker, mask_text
from dataset_svc.domain.samples import Sample, Turn
from loopwright.contracts.datasets import SampleSource
from loopwright.contracts.tasks import MaskingMode
from loopwright.personal.kinds import PersonalKind

SampleBuilder = Callable[..., Sample]
KEY = b"a key of the dataset"
SENTENCE = "홍길동의 주민등록번호는 123456-1234567입니다."
PIECES = [
    SENTENCE,
    "김철수 씨, kim@example.com로",
    "[이름-0a1b2c3d] 010-1234-5678",
    "Dear John Smith,",
    "R02-M1-N0-C:J12-U11",
    "",
]


def a_plain_sample(texts: list[str]) -> Sample:
    turns = tuple(Turn(role="user", content=text) for text in texts)
    return Sample(
        sample_id="s",
        task_id="t",
        input=texts[0] if texts else "",
        messages=(*turns, Turn(role="assistant", content="answer")),
        source=SampleSource.RATING,
        inference_id=None,
        rating_ids=(),
        unit_hash=None,
        weight_0_1=1.0,
    )


def mask_sample(sample: Sample) -> Masked:
    (masked,) = a_masker().mask_samples([sample])
    return masked


def a_masker(mode: MaskingMode = MaskingMode.MASK, *, key: bytes | None = None) -> Masker:
    return Masker(mode, pseudonym_key=key)


class TestModes:
    def test_the_founders_sentence_loses_name_and_number(self) -> None:
        masked, found = mask_text(SENTENCE)
        assert masked == "[이름]의 주민등록번호는 [주민등록번호]입니다."
        assert found == {PersonalKind.NAME: 1, PersonalKind.RESIDENT_NUMBER: 1}

    def test_report_changes_nothing_and_counts(self, a_sample: SampleBuilder) -> None:
        sample = a_sample(SENTENCE)
        (masked,) = a_masker(MaskingMode.REPORT).mask_samples([sample])
        assert masked.sample is sample
        assert masked.found == {PersonalKind.NAME: 1, PersonalKind.RESIDENT_NUMBER: 1}
        assert not masked.dropped

    def test_drop_says_so_of_samples_that_hold_something_and_of_no_others(self, a_sample: SampleBuilder) -> None:
        outcomes = a_masker(MaskingMode.DROP).mask_samples([a_sample(SENTENCE), a_sample()])
        assert [masked.dropped for masked in outcomes] == [True, False]
        assert "123456" not in outcomes[0].sample.input

    def test_equal_values_get_equal_pseudonyms_and_particles_stay(self, a_sample: SampleBuilder) -> None:
        (masked,) = a_masker(key=KEY).mask_samples([a_sample("홍길동은 010-1234-5678", "홍길동의 01012345678")])
        question, answer = (turn.content.split(" ") for turn in masked.sample.messages)
        assert question[0].removesuffix("은") == answer[0].removesuffix("의")
        assert question[0].startswith("[이름-")
        assert question[1] == answer[1]

    def test_another_key_gives_other_pseudonyms(self, a_sample: SampleBuilder) -> None:
        texts = {a_masker(key=key).mask_samples([a_sample(SENTENCE)])[0].sample.input for key in (b"one", b"two")}
        assert len(texts) == 2

    def test_different_values_get_different_pseudonyms(self, a_sample: SampleBuilder) -> None:
        (masked,) = a_masker(key=KEY).mask_samples([a_sample("kim@example.com, lee@example.com")])
        first, second = masked.sample.input.split(", ")
        assert first != second


@given(
    st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3), max_size=4), st.sampled_from(list(MaskingMode))
)
def test_a_batch_is_masked_as_its_samples_alone(batch: list[list[str]], mode: MaskingMode) -> None:
    samples = [a_plain_sample(texts) for texts in batch]
    together = a_masker(mode).mask_samples(samples)
    assert together == [a_masker(mode).mask_samples([sample])[0] for sample in samples]
    if mode is MaskingMode.MASK:
        assert together == [mask_sample(sample) for sample in samples]


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4),
    st.sampled_from([None, KEY]),
)
def test_masked_samples_hold_nothing_more(texts: list[str], key: bytes | None) -> None:
    (once,) = a_masker(key=key).mask_samples([a_plain_sample(texts)])
    for again in (a_masker(), a_masker(key=KEY), a_masker(MaskingMode.DROP)):
        (twice,) = again.mask_samples([once.sample])
        assert twice.sample == once.sample
        assert twice.found == Counter()
        assert not twice.dropped


@pytest.mark.parametrize(
    "text", ["[이름]의 [주민등록번호]", "[이름-0a1b2c3d] [카드번호-12345678]", "[이름]씨 [이름] 대표"]
)
def test_placeholders_stay(text: str) -> None:
    assert mask_text(text) == (text, {})


class TestEveryText:
    def test_the_refused_answer_tools_and_metadata_are_masked_too(self, a_sample: SampleBuilder) -> None:
        sample = a_sample(rejected=SENTENCE, tools='[{"name": "kim@example.com"}]', metadata={"by": "홍길동", "n": 3})
        masked = mask_sample(sample).sample
        assert masked.rejected == "[이름]의 주민등록번호는 [주민등록번호]입니다."
        assert masked.tools == '[{"name":"[이메일]"}]'
        assert masked.metadata == {"by": "[이름]", "n": 3}

    def test_calls_of_tools_stay_json_when_a_bare_number_goes(self, a_sample: SampleBuilder) -> None:
        calls = '[{"arguments": {"card": 4111111111111111, "rows": 12}}]'
        turns = (Turn(role="user", content="pay"), Turn(role="assistant", content="", tool_calls=calls))
        masked = mask_sample(a_sample(messages=turns))
        assert masked.sample.messages[1].tool_calls == '[{"arguments":{"card":"[카드번호]","rows":12}}]'
        assert masked.found == {PersonalKind.CARD_NUMBER: 1}

    def test_what_is_no_json_is_masked_as_text(self, a_sample: SampleBuilder) -> None:
        assert mask_sample(a_sample(tools="{kim@example.com")).sample.tools == "{[이메일]"
