# ruff: noqa: INP001 (as corpus.py)
"""Sentences with invented personal data, and rude ones, for `corpus.py`. Every value is made up.

`<kind|value>` marks the value; `_` stands for the space between words, so that values may hold spaces.
"""

import random
from collections.abc import Callable
from typing import Final, Literal

Language = Literal["ko", "en"]
Maker = Callable[[random.Random], str]

_SURNAMES: Final = [
    "김",
    "이",
    "박",
    "최",
    "정",
    "강",
    "조",
    "윤",
    "장",
    "임",
    "한",
    "오",
    "서",
    "신",
    "권",
    "황",
    "안",
    "송",
    "류",
    "홍",
]
_GIVEN: Final = [
    "민준",
    "서연",
    "도윤",
    "지우",
    "하은",
    "시우",
    "수아",
    "주원",
    "예린",
    "건우",
    "다은",
    "현우",
    "지민",
    "태양",
    "보라",
    "가람",
    "은서",
    "재원",
    "유진",
    "길동",
]
_FIRST: Final = [
    "Alice",
    "Martin",
    "Grace",
    "Daniel",
    "Helen",
    "Victor",
    "Nora",
    "Peter",
    "Julia",
    "Oscar",
    "Ruth",
    "Simon",
    "Clara",
    "Edwin",
]
_LAST: Final = [
    "Harper",
    "Walsh",
    "Bennett",
    "Foster",
    "Quinn",
    "Mercer",
    "Dalton",
    "Hughes",
    "Lawson",
    "Pierce",
    "Norris",
    "Blake",
]
_HOSTS: Final = ["example.com", "example.org", "example.net", "mail.example.com"]
_ROADS: Final = ["세종대로", "테헤란로", "가람로", "한빛로", "새싹길", "은행나무길", "솔밭로", "달맞이길"]
_CITIES: Final = (
    "서울특별시 종로구",
    "부산광역시 해운대구",
    "대전광역시 서구",
    "경기도 성남시 분당구",
    "제주특별자치도 제주시",
)
_BANKS: Final = ("한빛은행", "가람은행", "나루은행")
_PLATES: Final = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주하허호"
_BUSINESS_WEIGHTS: Final = (1, 3, 7, 1, 3, 7, 1, 3, 5)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(str(int(rng.random() * 10)) for _ in range(count))


def _name_ko(rng: random.Random) -> str:
    return rng.choice(_SURNAMES) + rng.choice(_GIVEN)


def _phone_ko(rng: random.Random) -> str:
    sign = rng.choice("-- .")
    return f"010{sign}{_digits(rng, 4)}{sign}{_digits(rng, 4)}"


def _email(rng: random.Random) -> str:
    return f"{rng.choice(_LAST).lower()}.{_digits(rng, 3)}@{rng.choice(_HOSTS)}"


def _resident(rng: random.Random) -> str:
    born = f"{int(rng.random() * 100):02}{1 + int(rng.random() * 12):02}{1 + int(rng.random() * 28):02}"
    return f"{born}-{rng.choice('1234')}{_digits(rng, 6)}"


def _card(rng: random.Random) -> str:
    body = "4" + _digits(rng, 14)
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(body)]
    check = -sum(value - 9 if value > 9 else value for value in doubled) % 10  # Luhn, ISO/IEC 7812-1
    number = body + str(check)
    return rng.choice("- ").join(number[place : place + 4] for place in range(0, 16, 4))


def _business(rng: random.Random) -> str:
    body = [int(digit) for digit in f"{100 + int(rng.random() * 899)}{_digits(rng, 6)}"]
    total = sum(weight * digit for weight, digit in zip(_BUSINESS_WEIGHTS, body, strict=True)) + body[8] * 5 // 10
    number = "".join(map(str, body)) + str(-total % 10)
    return f"{number[:3]}-{number[3:5]}-{number[5:]}"


def _address_ko(rng: random.Random) -> str:
    return f"{rng.choice(_CITIES)} {rng.choice(_ROADS)} {1 + int(rng.random() * 300)}"


def _ip(rng: random.Random) -> str:
    return f"10.{int(rng.random() * 256)}.{int(rng.random() * 256)}.{1 + int(rng.random() * 254)}"


def _plate(rng: random.Random) -> str:
    return f"{_digits(rng, 2)}{rng.choice(_PLATES)} {1 + int(rng.random() * 9)}{_digits(rng, 3)}"


def _account(rng: random.Random) -> str:
    return f"{_digits(rng, 3)}-{_digits(rng, 6)}-{_digits(rng, 2)}-{_digits(rng, 3)}"


def _key(rng: random.Random) -> str:
    return "sk-" + "".join(rng.choice("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(40))


def _name_en(rng: random.Random) -> str:
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


PLANTED: Final[dict[Language, list[Maker]]] = {
    "ko": [
        lambda rng: f"제_이름은_<name|{_name_ko(rng)}>입니다.",
        lambda rng: f"담당자_<name|{_name_ko(rng)}>에게_<phone|{_phone_ko(rng)}>로_연락해_주세요.",
        lambda rng: f"답장은_<email|{_email(rng)}>로_보내_주세요.",
        lambda rng: f"고객_<name|{_name_ko(rng)}>의_주민등록번호는_<resident-number|{_resident(rng)}>입니다.",
        lambda rng: f"카드_번호_<card|{_card(rng)}>으로_결제했습니다.",
        lambda rng: f"사업자등록번호는_<business-number|{_business(rng)}>입니다.",
        lambda rng: f"받는_곳은_<address|{_address_ko(rng)}>입니다.",
        lambda rng: f"접속한_주소는_<ip|{_ip(rng)}>입니다.",
        lambda rng: f"제_차는_<plate|{_plate(rng)}>입니다.",
        lambda rng: f"{rng.choice(_BANKS)}_계좌_<account|{_account(rng)}>로_입금해_주세요.",
        lambda rng: f"여권_번호는_<passport|M{_digits(rng, 8)}>입니다.",
        lambda rng: f"운전면허_번호는_<driving-licence|{11 + int(rng.random() * 16)}-{_digits(rng, 2)}-{_digits(rng, 6)}-{_digits(rng, 2)}>입니다.",
    ],
    "en": [
        lambda rng: f"My_name_is_<name|{_name_en(rng)}>.",
        lambda rng: f"Please_write_to_<email|{_email(rng)}>.",
        lambda rng: f"Call_me_at_<phone|+82 10-{_digits(rng, 4)}-{_digits(rng, 4)}>_after_lunch.",
        lambda rng: f"I_paid_with_the_card_<card|{_card(rng)}>.",
        lambda rng: f"The_request_came_from_<ip|{_ip(rng)}>.",
        lambda rng: f"The_api_key_is_<api-key|{_key(rng)}>.",
        lambda rng: f"Ask_Ms._<name|{_name_en(rng)}>_for_the_file.",
    ],
}  # fmt: skip

TOXIC: Final[dict[Language, tuple[str, ...]]] = {
    "ko": (
        "이 멍청한 놈아 당장 꺼져 버려.",
        "너 같은 쓰레기는 죽어도 싸다.",
        "씨발 진짜 병신 같은 답이네.",
        "이런 개새끼들은 다 없어져야 해.",
    ),
    "en": (
        "You are a worthless idiot and everybody hates you.",
        "Shut up you stupid piece of shit.",
        "Go and kill yourself you fucking moron.",
        "Those bastards deserve to be beaten up.",
    ),
}
