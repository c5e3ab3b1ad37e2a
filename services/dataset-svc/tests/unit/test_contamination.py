"""Which rows give evaluation cases away, and which only look like it."""

import pytest

from dataset_svc.domain.likeness.contamination import CaseIndex, Contaminated, Overlap, find_contaminated

ENGLISH = "the node lost its link after three retries and the job was moved to another rack of the large machine"
KOREAN = "노드가 세 번의 재시도 끝에 연결을 잃었고 작업은 큰 장비의 다른 선반으로 옮겨져 처음부터 다시 시작되었습니다"
OTHER = "bread rises in a warm place when the yeast is fresh and the dough rests under a cloth"


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


def test_every_case_that_a_row_gives_away_is_named_and_of_equal_ones_the_first() -> None:
    cases = [OTHER, ENGLISH, ENGLISH.title(), ENGLISH + " again"]
    assert overlaps([ENGLISH], cases) == [(0, 1, Overlap.SAME), (0, 3, Overlap.NEAR)]


def test_rows_count_on_over_chunks() -> None:
    index = CaseIndex([ENGLISH, KOREAN])
    index.feed([OTHER, KOREAN])
    index.feed([ENGLISH], threads=2)
    assert [(found.row, found.case) for found in index.finish()] == [(1, 1), (2, 0)]


@pytest.mark.parametrize(("rows", "cases"), [([], [ENGLISH]), ([ENGLISH], []), ([], []), ([""], [ENGLISH])])
def test_nothing_is_found_in_nothing(rows: list[str], cases: list[str]) -> None:
    assert overlaps(rows, cases) == []
