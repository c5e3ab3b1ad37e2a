"""What has a shape is masked wherever it stands; what only looks like it stays; masking again changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
