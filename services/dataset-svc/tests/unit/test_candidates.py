"""Candidates say of their samples what is decided by."""

import random
import unicodedata
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from candidate_rows import KEPT, all_rows, batch_of, candidates, columns_of, ids_of, sample_at
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.candidates import SOURCES, Candidates
from dataset_svc.domain.samples import Sample, Turn, encode, same_text
from loopwright.contracts.datasets import SampleSource

SampleBuilder = Callable[..., Sample]
TEXTS = st.sampled_from(["disk full", " 디스크  ", "e\u0301", "boot\ndone"])
# what samples are made with, beside an id
CHANGES = st.lists(
    st.fixed_dictionaries(
        {"question": TEXTS, "answer": TEXTS},
        optional={
            "thumb": st.booleans(), "rejected": st.just("no"), "source": st.sampled_from(SampleSource),
            "weight_0_1": st.sampled_from([0.1, 0.5, 1.0]), "inference_id": st.none(), "rating_ids": st.just(()),
            "unit_hash": st.none(), "category": st.sampled_from(["a", "b"]), "group": st.just("kim"),
        },
    ),
    max_size=8,
)  # fmt: skip


def samples_of(a_sample: SampleBuilder, changes: list[dict[str, object]]) -> list[Sample]:
    """Their ids are in another order than they are."""
    return [a_sample(**change, sample_id=f"s{7 * place % 11}") for place, change in enumerate(changes)]


def test_the_line_gives_the_whole_sample_back(a_sample: SampleBuilder) -> None:
    sample = a_sample(
        "왜  멈췄나요?\n", "디스크", metadata={"row": 1, "rate": 0.1, "ok": True}, tools="[]", thumb=False, group="g"
    )
    batch = batch_of([a_sample(), sample])
    assert batch.line(1, KEPT) == encode(sample)
    table = Candidates.of([batch])
    assert (KEPT.read(*table.places[1].tolist()), sample_at(table, 1)) == (encode(sample), sample)
    assert table.line_hashes[1].tobytes() == sha256(encode(sample)).digest()
    assert (table.questions_of(np.array([1])), table.avoided.tolist()) == (["왜 멈췄나요?"], [1])


@given(CHANGES)
def test_columns_say_what_the_samples_say(a_sample: SampleBuilder, changes: list[dict[str, object]]) -> None:
    samples = samples_of(a_sample, changes)
    table = candidates(*samples)
    assert len(table) == len(samples)
    for row, sample in enumerate(samples):
        assert sample_at(table, row) == sample
        hashes = (table.line_hashes[row], table.question_hashes[row], table.answer_hashes[row])
        said = encode(sample), same_text(sample.question).encode(), same_text(sample.answer).encode()
        assert [one.tobytes() for one in hashes] == [sha256(one).digest() for one in said]
        assert (table.sample_ids[row], table.questions[row].as_py()) == (sample.sample_id, same_text(sample.question))
        assert (SOURCES[table.sources[row]], table.weights_0_1[row]) == (sample.source, sample.weight_0_1)
        assert (table.inference_ids[row], table.rating_ids[row]) == (sample.inference_id, sample.rating_ids)
        assert (table.unit_hashes[row], table.categories[row]) == (sample.unit_hash, sample.category)
        assert (table.groups[row], table.corrected[row]) == (sample.group, sample.source is SampleSource.CORRECTION)
        assert table.preference(row) == sample.preference
    assert table.avoided.tolist() == [row for row, sample in enumerate(samples) if sample.thumb is False]


@given(CHANGES, st.lists(st.integers(0, 8), max_size=3))
def test_batches_joined_give_what_one_batch_gives(
    a_sample: SampleBuilder, changes: list[dict[str, object]], cuts: list[int]
) -> None:
    samples = samples_of(a_sample, changes)
    borders = [0, *sorted(cuts), len(samples)]
    parts = [samples[first:stop] for first, stop in pairwise(borders)]
    joined, whole = Candidates.of([batch_of(part) for part in parts]), candidates(*samples)
    assert columns_of(joined) | {"places": []} == columns_of(whole) | {"places": []}
    assert [sample_at(joined, row) for row in range(len(joined))] == samples


def test_no_batches_give_no_candidates() -> None:
    assert len(Candidates.of([])) == 0
    assert columns_of(Candidates.of([])) == columns_of(candidates())


def test_a_batch_crosses_to_another_process_as_it_is(a_sample: SampleBuilder) -> None:
    batch = batch_of([a_sample(), a_sample("왜", thumb=False, category="a")])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=type(batch)) == batch


def test_what_reads_the_same_has_the_same_hashes(a_sample: SampleBuilder) -> None:
    table = candidates(*(a_sample(*texts) for texts in (("a b", "c"), ("a  b\n", " c"), ("A b", "C"))))
    for hashes in (table.question_hashes, table.answer_hashes):
        one, spaced, other = hashes.tolist()
        assert one == spaced != other


def test_the_system_prompt_is_no_part_of_the_question(a_sample: SampleBuilder) -> None:
    turns = (Turn("system", "be brief"), Turn("user", "disk full"), Turn("assistant", "alert"))
    prompted, plain = candidates(a_sample(messages=turns), a_sample()).questions.to_pylist()
    assert prompted == plain


def test_an_answer_to_avoid_and_one_that_was_preferred_mean_something_else(a_sample: SampleBuilder) -> None:
    samples = [a_sample(thumb=False), a_sample(rejected="no"), a_sample(rejected="no", thumb=False)]
    table = candidates(a_sample(thumb=True), a_sample(), *samples)
    assert list(table.meanings) == [2, 3, 4]
    assert len(set(table.meanings.values())) == len(samples)
    assert table.avoided.tolist() == [2, 4]


def test_new_names_are_in_the_lines_as_well_and_change_nothing_else(a_sample: SampleBuilder) -> None:
    changes = [{"question": f"question {place}", "thumb": place != 2} for place in range(5)]
    batch = batch_of([a_sample(**change, sample_id=f"s{place}") for place, change in enumerate(changes)])
    names = {3: "after", 0: "a much longer name than before", 2: "로그"}
    renamed = [a_sample(**change, sample_id=names.get(place, f"s{place}")) for place, change in enumerate(changes)]
    found, wanted = Candidates.of([batch.renamed(names, KEPT)]), candidates(*renamed)
    assert columns_of(found) | {"places": []} == columns_of(wanted) | {"places": []}
    assert [KEPT.read(*place) for place in found.places.tolist()] == [encode(sample) for sample in renamed]
    assert [row.tolist() for row in found.places[[1, 4]]] == [
        row.tolist() for row in Candidates.of([batch]).places[[1, 4]]
    ]


def test_a_batch_without_new_names_stays_as_it_is(a_sample: SampleBuilder) -> None:
    batch = batch_of([a_sample()])
    assert batch.renamed({}, KEPT) is batch


def test_corrections_come_first_then_weight_then_the_name(a_sample: SampleBuilder) -> None:
    ordered = [
        a_sample(sample_id="z", source=SampleSource.CORRECTION, weight_0_1=0.1), a_sample(sample_id="y", weight_0_1=0.9),
        a_sample(sample_id="a", weight_0_1=0.5), a_sample(sample_id="b", weight_0_1=0.5),
    ]  # fmt: skip
    backwards = candidates(*ordered[::-1])
    assert backwards.best_first(all_rows(backwards)).tolist() == [3, 2, 1, 0]
    assert sorted(range(4), key=backwards.preference) == [3, 2, 1, 0]


@given(CHANGES, st.randoms(use_true_random=False))
def test_some_rows_are_put_in_order_of_preference_and_of_ids(
    a_sample: SampleBuilder, changes: list[dict[str, object]], rng: random.Random
) -> None:
    samples = samples_of(a_sample, changes)
    table = candidates(*samples)
    some = rng.sample(range(len(samples)), len(samples) // 2)
    rows = np.array(some, dtype=np.int64)
    assert table.best_first(rows).tolist() == sorted(some, key=lambda row: samples[row].preference)
    assert ids_of(table, table.by_id(rows)) == sorted(ids_of(table, rows))


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
