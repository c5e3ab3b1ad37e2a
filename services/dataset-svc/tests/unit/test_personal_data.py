"""What is found, and what only looks like it. Numbers here are made up, published examples, or reserved for examples."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataset_svc.domain.personal.masking import mask_text, placeholder
from dataset_svc.domain.personal.personal_data import shared_finder
from loopwright.personal.kinds import PersonalKind

S, E, R, F, C, P, I = list(PersonalKind)[:7]  # noqa: E741 - in the order of the enumeration

FOUND = [
    # registration numbers: a shape or a label is enough, with particles and full-width digits too
    (R, "그의 주민등록번호는 123456-1234567입니다.", "그의 주민등록번호는 [주민등록번호]입니다."),
    (R, "900101-1234567", "[주민등록번호]"),
    (R, "900101 - 1234567", "[주민등록번호]"),
    (R, "９００１０１－１２３４５６７", "[주민등록번호]"),
    (R, "주민번호 900101-1******", "주민번호 [주민등록번호]"),
    (R, "주민번호: 9001011234567", "주민번호: [주민등록번호]"),
    (R, "RRN 900101 1234567", "RRN [주민등록번호]"),
    (R, "resident registration number is 9001011234567.", "resident registration number is [주민등록번호]."),
    (R, "9001011234568", "[주민등록번호]"),
    (F, "외국인등록번호 900101-5234567", "외국인등록번호 [외국인등록번호]"),
    # phones
    (P, "010-1234-5678로 연락 주세요", "[전화번호]로 연락 주세요"),
    (P, "01012345678", "[전화번호]"),
    (P, "010 1234 5678", "[전화번호]"),
    (P, "010.1234.5678", "[전화번호]"),
    (P, "(010) 1234-5678", "[전화번호]"),
    (P, "011-123-4567", "[전화번호]"),
    (P, "02-123-4567", "[전화번호]"),
    (P, "031)1234-5678", "[전화번호]"),
    (P, "070-1234-5678", "[전화번호]"),
    (P, "+82 10-1234-5678", "[전화번호]"),
    (P, "+821012345678", "[전화번호]"),
    (P, "고객센터 전화: 1588-0000", "고객센터 전화: [전화번호]"),
    # firms' nation-wide numbers, toll-free and personal ones
    (P, "- 상황실: 1644-0000", "- 상황실: [전화번호]"),
    (P, "1588-0000(평일 9시)", "[전화번호](평일 9시)"),
    (P, "1899-0000번으로", "[전화번호]번으로"),
    (P, "대표번호 1800 5000", "대표번호 [전화번호]"),
    (P, "문의: 1600-2000", "문의: [전화번호]"),
    (P, "080-123-4567", "[전화번호]"),
    (P, "080 123 4567", "[전화번호]"),
    (P, "0505-123-4567", "[전화번호]"),
    (P, "0504 1234 5678로", "[전화번호]로"),
    (P, "수신자부담 0801234567", "수신자부담 [전화번호]"),
    (P, "안심번호 050512345678", "안심번호 [전화번호]"),
    (P, "call (212) 555-0123 now", "call [전화번호] now"),
    (P, "212-555-0123", "[전화번호]"),
    (P, "phone 2125550123", "phone [전화번호]"),
    (P, "+44 20 7946 0958", "[전화번호]"),
    # e-mail
    (E, "kim@example.com로 보내", "[이메일]로 보내"),
    (E, "메일은first.last+tag@mail.example.co.kr입니다", "메일은[이메일]입니다"),
    (E, "<kim@example.com>", "<[이메일]>"),
    (E, "-kim@example.com", "-[이메일]"),
    # cards: published test numbers
    (C, "4111 1111 1111 1111", "[카드번호]"),
    (C, "카드 4111111111111111로 결제", "카드 [카드번호]로 결제"),
    (C, "5555-5555-5555-4444", "[카드번호]"),
    (C, "1234-5678-9012-3456", "[카드번호]"),
    (C, "378282246310005", "[카드번호]"),
    (C, "3782 822463 10005", "[카드번호]"),
    # addresses of machines
    (I, "10.1.2.3입니다", "[IP주소]입니다"),
    (I, "from 192.0.2.7 port 22", "from [IP주소] port 22"),
    (I, "socket to 172.16.96.116:33569", "socket to [IP주소]:33569"),
    (I, "2001:db8::8a2e:370:7334", "[IP주소]"),
    (I, "fe80::1", "[IP주소]"),
    # secrets
    (S, "AKIAIOSFODNN7EXAMPLE", "[비밀키]"),
    (S, "key sk-abcdefghijklmnop1234 here", "key [비밀키] here"),
    (S, "ghp_0123456789abcdefghij0123456789abcdef", "[비밀키]"),
    (S, "api_key=ABCD1234EFGH5678", "api_key=[비밀키]"),
    (S, '{"access_token": "abcd1234efgh5678"}', '{"access_token": "[비밀키]"}'),
    (S, "Authorization: Bearer abcdef1234567890abcd", "Authorization: Bearer [비밀키]"),
    (S, "password: hunter22", "password: [비밀키]"),
    (S, "비밀번호는 abc123!@입니다", "비밀번호는 [비밀키]입니다"),
    (S, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0abc.c2lnbmF0dXJl", "[비밀키]"),
    (S, "-----BEGIN PRIVATE KEY-----\nMIIB/abc+\n-----END PRIVATE KEY-----", "[비밀키]"),
]

K = PersonalKind
FOUND += [
    (K.PASSPORT, "여권번호는 M12345678이고", "여권번호는 [여권번호]이고"),
    (K.PASSPORT, "passport number is M123A4567.", "passport number is [여권번호]."),
    (K.DRIVING_LICENCE, "11-12-123456-78", "[운전면허번호]"),
    (K.DRIVING_LICENCE, "면허번호: 서울 12-345678-90", "면허번호: [운전면허번호]"),
    (K.BUSINESS_NUMBER, "사업자등록번호 123-45-67890", "사업자등록번호 [사업자등록번호]"),
    (K.BUSINESS_NUMBER, "220-81-62517로 조회", "[사업자등록번호]로 조회"),
    (K.CORPORATE_NUMBER, "법인등록번호: 110111-1234567", "법인등록번호: [법인등록번호]"),
    (K.HEALTH_INSURANCE_NUMBER, "건강보험증 번호 1-1234567890", "건강보험증 번호 [건강보험번호]"),
    (K.BANK_ACCOUNT, "신한은행 110-123-456789로", "신한은행 [계좌번호]로"),
    (K.BANK_ACCOUNT, "3333-01-1234567(카카오뱅크)", "[계좌번호](카카오뱅크)"),
    (K.BANK_ACCOUNT, "account number is 123456789012", "account number is [계좌번호]"),
    (K.BANK_ACCOUNT, "DE89 3704 0044 0532 0130 00", "[계좌번호]"),
    (K.VEHICLE_PLATE, "12가3456 차량", "[차량번호] 차량"),
    (K.VEHICLE_PLATE, "서울 12가 3456", "[차량번호]"),
    (K.VEHICLE_PLATE, "차량번호 12조 3456", "차량번호 [차량번호]"),
    (K.VEHICLE_PLATE, "182차8024의 통행", "[차량번호]의 통행"),
    (K.VEHICLE_PLATE, "부산 12해 3456", "[차량번호]"),
    (K.ADDRESS, "서울특별시 강남구 테헤란로 152, 5층에서", "[주소]에서"),
    (K.ADDRESS, "서울 강남구 테헤란로 152, 101동 1502호로", "[주소]로"),
    (K.ADDRESS, "서울 강남구 테헤란로 152 3층", "[주소]"),
    (K.ADDRESS, "서울 강남구 테헤란로 152(역삼동, 가람빌딩)", "[주소]"),
    (K.ADDRESS, "서울 강남구 역삼동 123-4 가람빌딩 5층에", "[주소]에"),
    (K.ADDRESS, "서울 마포구 월드컵북로 10, 나래스퀘어 가온타워 지하 1층 B101호", "[주소]"),
    (K.ADDRESS, "경기도 수원시 영통구 광교로 145 차세대연구원 B동 3~4층", "[주소]"),
    (K.ADDRESS, "부산 수영구 광안해변로 219 가동 302호", "[주소]"),
    (K.ADDRESS, "주소: 대전 서구 둔산로 100 다온청사 본관 1508호", "주소: [주소]"),
    (K.ADDRESS, "인천 연수구 컨벤시아대로 165, 바다컨벤시아\n", "[주소]\n"),
    (K.ADDRESS, "부산 해운대구 우동로 123, 모래역 인근", "[주소]"),
    (K.ADDRESS, "서울 강남구 테헤란로 152, 감사합니다", "[주소], 감사합니다"),
    (K.ADDRESS, "서울 강남구 테헤란로 152, 서울센터장에게", "[주소], 서울센터장에게"),
    (K.ADDRESS, "서울 강남구 테헤란로 152에서 만나 3층으로", "[주소]에서 만나 3층으로"),
    (K.ADDRESS, "서울 서초구 서초동 1628-1번지를", "[주소]를"),
    (K.ADDRESS, "부산시 해운대구 우동 1408.", "[주소]."),
    (K.ADDRESS, "123 Main Street, Springfield, IL 62704", "[주소]"),
    (K.ADDRESS, "123, Teheran-ro, Gangnam-gu, Seoul", "[주소]"),
    (K.BIRTH_DATE, "생년월일: 1990년 3월 15일", "생년월일: [생년월일]"),
    (K.BIRTH_DATE, "900315생입니다", "[생년월일]생입니다"),
    (K.BIRTH_DATE, "born on March 3, 1990", "born on [생년월일]"),
]

# shapes of machine logs, as they come from supercomputers, file systems and login servers, and other innocent numbers
CLEAN = [
    "R02-M1-N0-C:J12-U11 RAS KERNEL INFO instruction cache parity error corrected",
    "1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872",
    "R63-M0-NF-C:J02-U01 generating core.2275",
    "data TLB error interrupt at 0x00544eb8, r20=0x0018c380 lr:00544ea8 cr:24000048",
    "ddr: excessive soft failures, rank 0, symbol 12 over 1024 seconds total of 123456 1234567",
    "ciod: generated 128 core files for program /g/g24/user1/FILE_NAME.202506-1234.567",
    "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating",
    "block blk_-6952295868487656571 size 67108864 blk_4111111111111111 blk_-4111111111111111",
    "job 12-900101-1234567 took 0.01012345678 s",
    "Dec 10 06:55:46 LabSZ sshd[24200]: input_userauth_request: invalid user webmaster [preauth]",
    "Failed password for invalid user admin from somewhere port 38926 ssh2",
    "[Sun Dec 04 04:47:44 2005] [error] jk2_init() Can't find child 6725 in scoreboard",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736 uuid 12345678-1234-1234-1234-123456789012",
    "mac 00:1a:2b:3c:4d:5e at 12:34:56, took 00:01:02.345",
    "std::vector<int> a; abc::def(); face::b00c",
    "version 1.2.3.4 and v10.20.30.40, release 2.0.0.1",
    "127.0.0.1:8080 0.0.0.0/0 255.255.255.0",
    "sum 1700101123456 ms, 9001011234567 ticks, 12345678901234567890 cycles",
    "4111111111111112 and 4111 1111 1111 1112 fail their check digit",
    "2024-01-05 is a date, 20240105 too",
    "1592-1598 and 1801-1835 are years, 1600-2400 and 1800-3600 rpm ranges, 1588-2000mm 1644-3000원 sizes and prices",
    "주문번호 1588-1234, 문서 번호: 1644-1234, order no. 1577-1234, id=1599-1234, pages 1544-1550, #1666-1234",
    "blk_1588-1234 1588-1234-5678 2024-1588-1234 1588.1234 v1.1588-1234 1234-5678 1587-1234",
    "050603154250 10:20 0801234567 08012345678 081109 203615 148",
    "문의 2024001234, 상담 3건 2345678901, 팩스 2024-01-02",
    "제12차 2024년 회의, 3차 2023 결산, 12차2024년, 제12차2024, 2국 1234명, 12해 3456",
    "서울 강남구 2호선 강남역 3번 출구, 3층 건물 12호까지, 101동 1502호",
    "ratio 010.1234.5678.9, range 100-200-3000, 3.1415926535897",
    "token ring at 0x1234567890abcdef1234, token = 0x1234567890abcdef1234",
    "password: required, pwd=/home/user1/project",
    "비밀번호는 초기화해 주세요",
    "12조 3456억, 15조2000억, 30도 2015, 10호 1234호",
    "순서대로 3개, 파일로 10개, 메뉴로 2024, 제주도 3, 서울 강남구 역삼동에서 10명",
    "1988년생, 2020년 1월 생산, 대학생 2010.1.1",
    "주문번호 123-45-67890, 여권을 만들다, 계좌 3개, account 12345",
    "12 Angry Men, 3 Way Split in 2024, 404 Not Found",
    "write to @everyone or user@localhost",
    "12+34=46, (x-1)(x-2)=0, 1,000,000원, 50%",
]


@pytest.mark.parametrize(("kind", "text", "masked"), FOUND)
def test_finds_and_masks(kind: PersonalKind, text: str, masked: str) -> None:
    assert [finding.kind for finding in shared_finder().find([text])[0]] == [kind]
    assert mask_text(text) == (masked, {kind: 1})


@pytest.mark.parametrize("text", CLEAN)
def test_leaves_alone(text: str) -> None:
    assert mask_text(text) == (text, {})


@pytest.mark.parametrize(("kind", "text", "_masked"), FOUND)
@pytest.mark.parametrize("frame", ["{}", "값: {} 확인", "({})", '"{}",', "{}\n다음 줄", "앞 줄\n{}"])
def test_what_stands_around_does_not_hide_it(kind: PersonalKind, text: str, _masked: str, frame: str) -> None:
    assert kind in mask_text(frame.format(text))[1]


def test_finds_each_of_several_and_counts_them() -> None:
    masked, found = mask_text("김씨 010-1234-5678, 이씨 010-8765-4321, kim@example.com / 192.0.2.7")
    assert masked == "[이름]씨 [전화번호], [이름]씨 [전화번호], [이메일] / [IP주소]"
    assert found == {P: 2, E: 1, I: 1, PersonalKind.NAME: 2}


@given(st.lists(st.sampled_from([text for _, text, _ in FOUND] + CLEAN + [placeholder(kind) for kind in PersonalKind]), max_size=6), st.sampled_from(["", " ", "-", ".", ",", "\n", "로 ", "1"]))  # fmt: skip
@example(["010-1234-5678", "010-1234-5678"], "-")
def test_masking_twice_is_masking_once(pieces: list[str], glue: str) -> None:
    once, _ = mask_text(glue.join(pieces))
    assert mask_text(once) == (once, {})


@given(st.text(max_size=300))
def test_any_text_is_masked_into_something_that_stays(text: str) -> None:
    once, found = mask_text(text)
    assert mask_text(once) == (once, {})
    assert found or once == text


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4 " * 5_000, "1.2.3.4-" * 5_000, "a@" * 20_000, "eyJ" * 13_000, "0" * 40_000, "1-" * 20_000,
        "-----BEGIN PRIVATE KEY-----" * 1_500, "password" * 5_000, "token: " * 6_000, "a:" * 20_000, "전화 " * 13_000,
        "서울 강남구 테헤란로 1, " * 3_000, "서울 중구 가로 1, 가 나 " + "다 3" * 9_000, "1588-1234 " * 4_000, "문의 0" * 9_000,
    ],
)  # fmt: skip
@pytest.mark.timeout(20)
def test_hostile_text_takes_bounded_time(text: str) -> None:
    mask_text(text)
