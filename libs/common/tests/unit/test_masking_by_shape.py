"""What has a shape is masked wherever it stands; what only looks like it stays; masking again changes nothing."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.personal.detectors import DETECTORS
from loopwright.personal.findings import ShapeFinder
from loopwright.personal.kinds import PersonalKind
from loopwright.personal.masking import mask_texts, placeholder

K = PersonalKind


def masked(text: str) -> str:
    return mask_texts([text], ShapeFinder())[0][0]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("mail ada@example.com now", K.EMAIL, "ada@example.com"),
        ("전화 010-1234-5678로 주세요", K.PHONE, "010-1234-5678"),
        ("call (212) 555-0187 today", K.PHONE, "(212) 555-0187"),
        ("주민번호 900101-1234567", K.RESIDENT_NUMBER, "900101-1234567"),
        ("외국인 900101-5234567", K.FOREIGNER_NUMBER, "900101-5234567"),
        ("card 4111 1111 1111 1111", K.CARD_NUMBER, "4111 1111 1111 1111"),
        ("국민은행 123456-01-123456", K.BANK_ACCOUNT, "123456-01-123456"),
        ("from 203.0.113.9", K.IP_ADDRESS, "203.0.113.9"),
        ("서울특별시 강남구 테헤란로 123", K.ADDRESS, "서울특별시 강남구 테헤란로 123"),
        ("api_key=abcd1234efgh5678ijkl", K.SECRET, "abcd1234efgh5678ijkl"),
        ("０１０－１２３４－５６７８", K.PHONE, "０１０－１２３４－５６７８"),
    ],
)
def test_what_has_a_shape_is_masked_and_nothing_else(text: str, kind: PersonalKind, value: str) -> None:
    assert masked(text) == text.replace(value, placeholder(kind))


@pytest.mark.parametrize(
    "text", ["node 0x1f2e3d4c5b6a", "blk_-1608999687919862906", "v1.2.3.4", "2026-11-22 10:11:12", "질문입니다"]
)
def test_what_machines_write_stays(text: str) -> None:
    assert masked(text) == text


@given(
    st.lists(
        st.sampled_from(["010-1234-5678", " ", "a@b.co", "-", "4111111111111111", "[이메일]", "가"]), max_size=8
    ).map("".join)
)
def test_masking_again_changes_nothing(text: str) -> None:
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    "pieces",
    [
        ("kim@example.com", "a@b", "@", "park.lee@mail.co.kr", "-"),
        ("국민은행", "계좌(", "110-234-567890", "1234567890123", ")"),
        ("서울특별시 강남구 ", "역삼동 ", "테헤란로 12", "길 3", "산 4", "경기도 수원시 "),
    ],
)
def test_what_is_looked_for_near_something_is_found_as_if_looked_for_everywhere(pieces: tuple[str, ...]) -> None:
    told = [detector for detector in DETECTORS if detector.near]
    for places in product(pieces, (" ", " " * 90, "\n" * 900), pieces, (" ", ""), pieces):
        text = "".join(places)
        for detector in told:
            near = [match.span() for match in detector.matches(text)]
            assert near == [match.span() for match in detector.shape.finditer(text)]
