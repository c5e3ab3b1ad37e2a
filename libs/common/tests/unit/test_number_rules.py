"""Check digits against published examples, and against a change of any digit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.personal.number_rules import (
    is_business_number,
    is_card_number,
    is_iban,
    is_personal_ip,
    is_representative_number,
    is_resident_number,
    luhn_holds,
)


@pytest.mark.parametrize("digits", ["79927398713", "4111111111111111", "5555555555554444", "378282246310005"])
def test_published_luhn_numbers_hold(digits: str) -> None:
    assert luhn_holds(digits)


@given(st.text(alphabet="0123456789", min_size=2, max_size=18), st.data())
def test_luhn_notices_any_single_wrong_digit(payload: str, data: st.DataObject) -> None:
    check = next(digit for digit in "0123456789" if luhn_holds(payload + digit))
    place = data.draw(st.integers(0, len(payload) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != payload[place]]))
    assert not luhn_holds(payload[:place] + other + payload[place + 1 :] + check)


@pytest.mark.parametrize(
    ("digits", "known"),
    [
        ("4111111111111111", True),
        ("2223003122003222", True),
        ("6011111111111117", True),
        ("3530111333300000", True),
        ("36227206271667", True),
        ("1111111111111117", False),  # Luhn holds, no network begins with 11
        ("41111111111111", False),
    ],
)
def test_a_card_has_a_known_beginning_and_its_length(digits: str, *, known: bool) -> None:
    assert is_card_number(digits) is known


@pytest.mark.parametrize(
    ("digits", "plausible"),
    [
        ("9001011234568", True),
        ("9001011234567", False),  # check digit
        ("9013011234563", False),  # month 13
        ("0502293234566", False),  # 2005 had no 29 February
        ("9001015234561", True),  # a foreigner's
        ("9001019234566", False),  # born in the nineteenth century
    ],
)
def test_bare_digits_are_a_resident_only_with_date_and_check_digit(digits: str, *, plausible: bool) -> None:
    assert is_resident_number(digits) is plausible


@pytest.mark.parametrize(("text", "personal"), [("10.0.0.1", True), ("127.0.0.1", False), ("224.0.0.1", False), ("::1", False), ("abc::def", False), ("1:2:3", False), ("2001:db8::1", True)])  # fmt: skip
def test_loopback_and_code_are_nobodys_address(text: str, *, personal: bool) -> None:
    assert is_personal_ip(text) is personal


@pytest.mark.parametrize(("digits", "holds"), [("2208162517", True), ("1248100998", True), ("2208162518", False), ("220816251", False)])  # fmt: skip
def test_business_numbers_end_in_their_check_digit(digits: str, *, holds: bool) -> None:
    assert is_business_number(digits) is holds


@pytest.mark.parametrize(("text", "holds"), [("DE89370400440532013000", True), ("GB29NWBK60161331926819", True), ("DE89370400440532013001", False), ("DE89", False)])  # fmt: skip
def test_published_ibans_hold(text: str, *, holds: bool) -> None:
    assert is_iban(text) is holds


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *(("1588-1234", True), ("1899-0000", True), ("1600-1234", True), ("1644-2380", True)),
        # a prefix that nobody has, years, round figures in order
        *(("1587-1234", False), ("1592-1598", False), ("1800-1899", False), ("1600-2400", False), ("1800-5000", False)),
    ],
)
def test_a_firms_number_is_no_range(text: str, *, is_one: bool) -> None:
    assert is_representative_number(text) is is_one
