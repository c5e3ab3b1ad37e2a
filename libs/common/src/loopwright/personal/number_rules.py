"""Check digits, plausible dates and ranges of numbers that name a person."""

import ipaddress
import re
from datetime import date

# Resident Registration Act, enforcement rule; foreigners' numbers use the same weights and add two.
_RESIDENT_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_BUSINESS_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_CENTURY = {"1": 1900, "2": 1900, "3": 2000, "4": 2000, "5": 1900, "6": 1900, "7": 2000, "8": 2000}
_EARLIEST_BIRTH_YEAR = 1910

# (first digits from, to, lengths): ISO/IEC 7812 ranges of the networks whose cards are used in Korea
_CARD_RANGES = (
    (4, 4, (16,)),
    (51, 55, (16,)),
    (2221, 2720, (16,)),
    (34, 34, (15,)),
    (37, 37, (15,)),
    (300, 305, (14,)),
    (36, 36, (14,)),
    (38, 38, (14,)),
    (6011, 6011, (16,)),
    (644, 659, (16,)),
    (62, 62, (16,)),
    (3528, 3589, (16,)),
)
# prefixes of nation-wide numbers of firms, as the ministry's numbering plan gives them to carriers
_REPRESENTATIVE = frozenset(
    [
        "1522",
        "1533",
        "1544",
        "1551",
        "1555",
        "1566",
        "1577",
        "1588",
        "1599",
        "1600",
        "1611",
        "1644",
        "1655",
        "1660",
        "1661",
        "1665",
        "1666",
        "1668",
        "1670",
        "1677",
        "1688",
        "1800",
        "1811",
        "1833",
        "1855",
        "1866",
        "1877",
        "1899",
    ]
)
_LATEST_YEAR = 2100
_NO_DIGITS = re.compile("[^0-9]+")
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# no loopback (127), nor multicast and reserved ones (from 224 on): RFC 6890
_IPV4 = re.compile(rf"(?!127\.|22[4-9]|2[3-5][0-9]){_OCTET}(?:\.{_OCTET}){{3}}")
# global unicast, unique local, link local: RFC 4291, RFC 4193
_IPV6_IN_USE = tuple(ipaddress.IPv6Network(network) for network in ("2000::/3", "fc00::/7", "fe80::/10"))


def is_resident_number(digits: str) -> bool:
    """Whether 13 digits without any sign around them are a resident's or foreigner's number.

    Date and check digit must both hold: thirteen digits are as often a time in milliseconds. Numbers given out since
    October 2020 carry no check digit and are found by their hyphen or label only.
    """
    century = _CENTURY.get(digits[6])
    if century is None:
        return False
    try:
        born = date(century + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    except ValueError:
        return False
    if born.year < _EARLIEST_BIRTH_YEAR:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, _RESIDENT_WEIGHTS, strict=False))
    offset = 13 if digits[6] in "5678" else 11
    return (offset - total % 11) % 10 == int(digits[12])


def is_representative_number(text: str) -> bool:
    """Whether `1588-1234` is the number of a firm; two years or two round figures in order are a range: 1592-1598."""
    prefix, rest = text[:4], int(text[5:])
    is_range = int(prefix) <= rest <= _LATEST_YEAR or (int(prefix) % 100 == 0 and int(prefix) < rest and rest % 50 == 0)
    return prefix in _REPRESENTATIVE and not is_range


def is_card_number(digits: str) -> bool:
    """Whether the digits are a number of a known card network with the right check digit."""
    known = any(
        low <= int(digits[: len(str(low))]) <= high and len(digits) in lengths for low, high, lengths in _CARD_RANGES
    )
    return known and luhn_holds(digits)


def luhn_holds(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def digits_of(text: str) -> str:
    return _NO_DIGITS.sub("", text)


def is_personal_ip(text: str) -> bool:
    """Whether the text is an address that can be somebody's; loopback, masks and names in code (`abc::def`) are not."""
    if ":" not in text:
        return _IPV4.fullmatch(text) is not None and text != "0.0.0.0"  # noqa: S104 - nothing is bound
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return any(address in network for network in _IPV6_IN_USE) and any(char in "0123456789" for char in text)


def is_business_number(digits: str) -> bool:
    """Ten digits with the check digit of the tax office (weights 1, 3, 7; the ninth counts its tens as well)."""
    if len(digits) != 10:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, _BUSINESS_WEIGHTS, strict=False))
    total += int(digits[8]) * 5 // 10
    return (10 - total % 10) % 10 == int(digits[9])


def is_iban(text: str) -> bool:
    """ISO 13616: country, two check digits, at most 30 letters and digits; modulo 97."""
    if not 15 <= len(text) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1
