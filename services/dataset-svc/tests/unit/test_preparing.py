"""What is done to a record does not depend on its batch."""

import json
from collections.abc import Callable

import msgspec
import numpy as np
from candidate_rows import columns_of
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.building import Memory, Recipe, VersionBuilder
from dataset_svc.domain.candidates import Candidates
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.measurements import Measurements
from dataset_svc.domain.preparing import PreparationRules, Prepared, Preparer, Refusal, dataset_key
from dataset_svc.domain.report import Check
from dataset_svc.domain.samples import decode
from dataset_svc.domain.sources.lines import Line
from dataset_svc.domain.sources.reading import ReadingRules
from dataset_svc.domain.statistics.figures import LengthPart
from loopwright.contracts.tasks import DataPolicy, MaskingMode

LineBuilder = Callable[..., bytes]
READING = ReadingRules(task_id="log-anomaly")


def a_preparer(**policy: object) -> Preparer:
    return Preparer(PreparationRules(reading=READING, policy=DataPolicy(**policy), pseudonym_key=b"k" * 32))


def lines(*contents: object) -> list[Line]:
    return [
        Line(number=number, content=content if isinstance(content, bytes) else json.dumps(content).encode())
        for number, content in enumerate(contents, start=1)
    ]


def a_chat(question: str, **fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "ok"}], **fields}


CONTENTS = st.sampled_from([
    b"", b"{", a_chat("mail kim@example.com"), a_chat("disk full"), a_chat("call 010-1234-5678", sample_id="s1"), {"messages": []},
])  # fmt: skip


@given(st.lists(CONTENTS, max_size=8), st.integers(0, 8))
def test_two_batches_are_prepared_as_one(contents: list[object], cut: int) -> None:
    records, kept, again = lines(*contents), LinesInMemory(), LinesInMemory()
    whole = a_preparer().prepare(records, kept)
    first, second = (a_preparer().prepare(part, again) for part in (records[:cut], records[cut:]))
    joined = Candidates.of([first.candidates, second.candidates])
    assert columns_of(joined) == columns_of(Candidates.of([whole.candidates]))
    assert whole.named == first.named + second.named
    assert whole.measurements == Measurements.joined([first.measurements, second.measurements])
    shift = len(first.candidates)
    assert whole.found == first.found | {place + shift: found for place, found in second.found.items()}
    assert whole.bad == first.bad + second.bad


@given(st.lists(CONTENTS, max_size=8))
def test_what_helpers_send_is_what_they_made(contents: list[object]) -> None:
    prepared = a_preparer().prepare(lines(*contents), LinesInMemory())
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(prepared), type=Prepared) == prepared


def test_the_policy_decides_what_becomes_of_personal_data() -> None:
    (line,) = lines(a_chat("mail kim@example.com"))
    kept = LinesInMemory()
    prepared = {mode: a_preparer(masking=mode).prepare([line], kept) for mode in MaskingMode}
    inputs = {mode: decode(one.candidates.line(0, kept)).input for mode, one in prepared.items()}
    assert inputs[MaskingMode.MASK] == "mail [이메일]"
    assert inputs[MaskingMode.REPORT] == "mail kim@example.com"
    assert prepared[MaskingMode.DROP].refused == {0: Refusal(Check.PERSONAL_DATA, "holds email")}
    assert prepared[MaskingMode.MASK].refused == prepared[MaskingMode.REPORT].refused == {}
    pseudonymised = a_preparer(pseudonymise=True).prepare([line], kept).candidates
    assert decode(pseudonymised.line(0, kept)).input.startswith("mail [이메일-")


def test_two_datasets_have_unrelated_pseudonyms() -> None:
    secret = b"s" * 32
    assert dataset_key(secret, "one") == dataset_key(secret, "one") != dataset_key(secret, "two")


def test_tokens_of_question_and_answer_are_counted_after_masking() -> None:
    rules = PreparationRules(reading=READING, policy=DataPolicy())
    preparer = Preparer(rules, lambda texts: np.array([len(text.decode()) for text in texts], dtype=np.int32))
    measurements = preparer.prepare(lines(a_chat("a@b.kr")), LinesInMemory()).measurements
    tokens = measurements.of_rows(np.array([0])).measured(categories=[None]).tokens
    assert {part: counts.tolist() for part, counts in tokens.items()} == {
        LengthPart.QUESTION: [len("[이메일]")],
        LengthPart.ANSWER: [len("ok")],
    }


def test_samples_go_by_their_scores_where_the_policy_says_so() -> None:
    policy = DataPolicy(quality={"max_toxicity_0_1": 0.2}, min_samples=1)
    kept = LinesInMemory()
    builder = VersionBuilder(
        Recipe(request_id="q", dataset_name="d", reading=READING, policy=policy, expected_lines=None), Memory(), kept
    )
    rude = {"messages": [{"role": "user", "content": "왜 안 되나요"}, {"role": "assistant", "content": "씨발 꺼져"}]}
    prepared = Preparer(PreparationRules(reading=READING, policy=policy)).prepare(
        lines(rude, a_chat("disk full")), kept
    )
    builder.add(prepared)
    report = builder.finish().report
    [quality] = [outcome for outcome in report.checks if outcome.check is Check.QUALITY]
    assert (quality.dropped, report.kept) == (1, 1)
    assert quality.reasons == {"it is more toxic than the task allows": 1}
