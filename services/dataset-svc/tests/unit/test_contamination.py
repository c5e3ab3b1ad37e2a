"""Which rows give evaluation cases away, and which only look like it."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.likeness import contamination
from dataset_svc.domain.likeness.contamination import CaseIndex, Contaminated, Overlap
from dataset_svc.domain.likeness.kernels import may_hold
from dataset_svc.domain.likeness.minhash import packed
from dataset_svc.domain.likeness.passages import filter_of
from dataset_svc.domain.likeness.scans import hangul_shares_0_1

ENGLISH = "the node lost its link after three retries and the job was moved to another rack of the large machine"
KOREAN = "노드가 세 번의 재시도 끝에 연결을 잃었고 작업은 큰 장비의 다른 선반으로 옮겨져 처음부터 다시 시작되었습니다"
OTHER = "bread rises in a warm place when the yeast is fresh and the dough rests under a cloth"


def find_contaminated(rows: list[str], cases: list[str]) -> tuple[Contaminated, ...]:
    """Every pair of a row and a case that it gives away."""
    index = CaseIndex(cases)
    index.feed(packed(rows))
    return index.finish()


def overlaps(rows: list[str], cases: list[str]) -> list[tuple[int, int, Overlap]]:
    return [(found.row, found.case, found.overlap) for found in find_contaminated(rows, cases)]


@pytest.mark.parametrize("case", [ENGLISH, KOREAN, "네"])
def test_the_same_text_is_found_whatever_its_case_and_spacing(case: str) -> None:
    rows = [OTHER, "  " + case.upper().replace(" ", "\n")]
    assert find_contaminated(rows, [case]) == (Contaminated(row=1, case=0, overlap=Overlap.SAME, likeness_0_1=1.0),)


@pytest.mark.parametrize("case", [ENGLISH, KOREAN])
def test_a_near_copy_is_found_with_its_likeness(case: str) -> None:
    [found] = find_contaminated([OTHER, case[:-4] + "!"], [case])
    assert (found.row, found.case, found.overlap) == (1, 0, Overlap.NEAR)
    assert found.likeness_0_1 is not None
    assert 0.7 <= found.likeness_0_1 < 1


def test_thirteen_words_in_common_are_found_and_twelve_are_not() -> None:
    words = ENGLISH.split()
    rows = [f"{OTHER} {' '.join(words[2:15])} {OTHER}", f"{OTHER} {' '.join(words[2:14])} {OTHER}"]
    assert overlaps(rows, [ENGLISH]) == [(0, 0, Overlap.WORDS)]


def test_forty_characters_of_korean_in_common_are_found_and_thirty_nine_are_not() -> None:
    rows = [f"{OTHER}{KOREAN[5:45]}{OTHER}", f"{OTHER}{KOREAN[5:44]}{OTHER}"]
    assert overlaps(rows, [KOREAN]) == [(0, 0, Overlap.CHARACTERS)]


def test_a_passage_that_many_rows_hold_is_common_and_gives_nothing_away() -> None:
    passage = " ".join(ENGLISH.split()[:13])
    rows = [f"{number} {OTHER} {passage} {OTHER} {number}" for number in range(11)]
    assert overlaps(rows[:10], [ENGLISH]) == [(number, 0, Overlap.WORDS) for number in range(10)]
    assert overlaps(rows, [ENGLISH]) == []


def test_a_passage_that_many_cases_hold_is_common_too() -> None:
    passage = " ".join(ENGLISH.split()[:13])
    cases = [f"{passage} {number} {OTHER}" for number in range(11)]
    row = f"{passage} and something else that is long enough to be no near copy of any of them"
    assert overlaps([row], cases[:10]) == [(0, number, Overlap.WORDS) for number in range(10)]
    assert overlaps([row], cases) == []


def test_a_passage_that_is_little_of_a_long_case_gives_nothing_away() -> None:
    passage = " ".join(ENGLISH.split()[:13])
    rest = words(random.Random(1), 200)
    row = f"{OTHER} {passage} {OTHER}"
    assert overlaps([row], [" ".join([passage, *rest[:45]])]) == [(0, 0, Overlap.WORDS)]
    assert overlaps([row], [" ".join([passage, *rest[:70]])]) == []


@pytest.mark.parametrize(("rest", "found"), [(10, [(0, 0, Overlap.WORDS)]), (30, [])])
def test_of_a_case_of_the_same_set_half_must_be_in_common(rest: int, found: list[tuple[int, int, Overlap]]) -> None:
    rows = [ENGLISH, f"{' '.join(ENGLISH.split()[:13])} {OTHER}"]
    index = CaseIndex([" ".join([*ENGLISH.split()[:13], *words(random.Random(1), rest)]), "x"], own=1)
    index.feed(packed([rows[1]]))
    assert [(one.row, one.case, one.overlap) for one in index.finish()] == found


def test_rows_that_are_like_a_case_of_the_same_set_as_a_whole_are_not_its_business() -> None:
    index = CaseIndex([ENGLISH, OTHER], own=1)
    index.feed(packed(["short", ENGLISH[:30], OTHER]))
    assert [(one.row, one.case, one.overlap) for one in index.finish()] == [(2, 1, Overlap.SAME)]


def words(rng: random.Random, count: int) -> list[str]:
    return ["".join(rng.choices("abcdefghij", k=5)) for _ in range(count)]


def syllables(rng: random.Random, count: int) -> str:
    return "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(count))


@given(st.integers(0, 1 << 30), st.integers(0, 25), st.integers(0, 25), st.integers(10, 16), st.integers(0, 15))
@settings(deadline=None)
def test_a_passage_of_words_is_found_wherever_it_lies(seed: int, at: int, of: int, length: int, after: int) -> None:
    rng = random.Random(seed)
    passage = words(rng, length)
    row = words(rng, at) + passage + words(rng, 60)
    case = words(rng, of) + passage + words(rng, after)
    found = overlaps([" ".join(row)], [" ".join(case)])
    assert found == ([(0, 0, Overlap.WORDS)] if length >= 13 else [])


@given(st.integers(0, 1 << 30), st.integers(0, 70), st.integers(0, 70), st.integers(36, 45), st.integers(0, 40))
@settings(deadline=None)
def test_a_passage_of_characters_is_found_wherever_it_lies(
    seed: int, at: int, of: int, length: int, after: int
) -> None:
    rng = random.Random(seed)
    passage = syllables(rng, length)
    row = syllables(rng, at) + passage + syllables(rng, 200)
    case = syllables(rng, of) + passage + syllables(rng, after)
    assert overlaps([row], [case]) == ([(0, 0, Overlap.CHARACTERS)] if length >= 40 else [])


def test_the_shortest_passages_are_found_at_every_place_of_a_case() -> None:
    rng = random.Random(3)
    for of in range(40):
        passage = words(rng, 13)
        case = " ".join(words(rng, of) + passage)
        assert overlaps([" ".join(passage + words(rng, 60))], [case]) == [(0, 0, Overlap.WORDS)]
        characters = syllables(rng, 40)
        case = syllables(rng, of) + characters
        assert overlaps([characters + syllables(rng, 200)], [case]) == [(0, 0, Overlap.CHARACTERS)]


def test_threads_find_the_same() -> None:
    rng = random.Random(2)
    cases = [" ".join(words(rng, 40)) for _ in range(300)]
    rows = [" ".join(words(rng, 30) + case.split()[5:30]) for case in cases] * 2
    one, more = CaseIndex(cases), CaseIndex(cases)
    one.feed(packed(rows))
    more.feed(packed(rows), threads=3)
    assert one.finish() == more.finish()
    assert len(one.finish()) == 600


@given(st.lists(st.integers(0, (1 << 64) - 1)))
@settings(deadline=None)
def test_a_filter_lets_everything_pass_that_is_looked_for(wanted: list[int]) -> None:
    bits = filter_of(np.array(wanted, dtype=np.uint64))
    assert all(may_hold(bits, np.uint64(one)) for one in wanted)


def test_a_filter_stops_nearly_all_that_is_not_looked_for() -> None:
    rng = np.random.default_rng(1)
    wanted, others = (rng.integers(0, 1 << 63, 20_000, dtype=np.uint64) for _ in range(2))
    bits = filter_of(wanted)
    assert sum(may_hold(bits, one) for one in others) < 400


def test_shares_of_hangul_count_characters() -> None:
    assert hangul_shares_0_1(packed(["", "abc", "가나", "가a나b", "日本", "é가"])).tolist() == [0, 0, 1, 0.5, 0, 0.5]


def test_every_case_that_a_row_gives_away_is_named_and_of_equal_ones_the_first() -> None:
    cases = [OTHER, ENGLISH, ENGLISH.title(), ENGLISH + " again"]
    assert overlaps([ENGLISH], cases) == [(0, 1, Overlap.SAME), (0, 3, Overlap.NEAR)]


def test_rows_count_on_over_chunks() -> None:
    index = CaseIndex([ENGLISH, KOREAN])
    index.feed(packed([OTHER, KOREAN]))
    index.feed(packed([ENGLISH]), threads=2)
    assert [(found.row, found.case) for found in index.finish()] == [(1, 1), (2, 0)]


@pytest.mark.parametrize(("limit", "value"), [("_CHUNK_ROWS", 2), ("_CHUNK_BYTES", 3 * len(OTHER))])
def test_chunks_of_any_size_find_the_same(monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    rows = [OTHER, ENGLISH, *[OTHER] * 6, f"{OTHER} {' '.join(ENGLISH.split()[2:15])} {OTHER}", KOREAN * 5, ENGLISH]
    cases = [ENGLISH, KOREAN]
    whole = overlaps(rows, cases)
    assert [row for row, _, _ in whole] == [1, 8, 9, 10]
    monkeypatch.setattr(contamination, limit, value)
    assert overlaps(rows, cases) == whole


@pytest.mark.parametrize(("rows", "cases"), [([], [ENGLISH]), ([ENGLISH], []), ([], []), ([""], [ENGLISH])])
def test_nothing_is_found_in_nothing(rows: list[str], cases: list[str]) -> None:
    assert overlaps(rows, cases) == []
