"""Which words are taken for persons. Names here are made up or belong to everybody."""

import pytest

from dataset_svc.domain.personal.person_names import NameFinder
from dataset_svc.domain.personal.scans import scan


def names_in(text: str) -> list[str]:
    (spans,) = NameFinder().find([text], scan([text])).values() or ([],)
    return [text[start:end] for start, end in sorted(spans)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("홍길동의 집", ["홍길동"]),
        ("어제 김철수가 이영희를 만났다.", ["김철수", "이영희"]),
        ("담당자 박서준, 연락 바랍니다.", ["박서준"]),
        ("경찰은 박씨의 딸과 김모(33)씨를 조사했다.", ["박", "김"]),
        ("김 대표와 조 전 부사장이 만났다.", ["김", "조"]),
        ("이민지 씨는 배우다.", ["이민지"]),
        ("솔지 씨를 불렀다.", ["솔지"]),
        ("남궁민이 나온다.", ["남궁민"]),
        ("도널드 트럼프가 말했다.", ["도널드 트럼프"]),
        ("조니 뎁이 나온다.", ["조니 뎁"]),
        ("케빈코스트너의 영화", ["케빈코스트너"]),
        ("톰 행크스와 벤 킹슬리의 연기", ["톰 행크스", "벤 킹슬리"]),
        ("제니퍼 덱커를 만났다.", ["제니퍼 덱커"]),
        ("A씨는 B군을 만났다. X씨도 왔다.", ["A", "B", "X"]),
        ("이 씨와 정 조교수, 조 대표가 왔다.", ["이", "정", "조"]),
        ("원고 김민수이 제출한 증거, 홍지영와 함께", ["김민수", "홍지영"]),
        ("판사: 최지훈(崔智勳)", ["최지훈(崔智勳)"]),
        ("Dear John Smith, thank you.", ["John Smith"]),
        ("My name is Priya Sharma.", ["Priya Sharma"]),
        ("Mr. Brown and Dr. Anna Lee spoke.", ["Brown", "Anna Lee"]),
        ("Sarah met John F. Kennedy.", ["Sarah", "John F. Kennedy"]),
        ("From: Robert Miller", ["Robert Miller"]),
        # odds of syllables
        ("어제 김병만이 왔고 곽낙연도 왔다.", ["김병만", "곽낙연"]),
        ("그때 혜범이 왔다.", ["혜범"]),
        # a word could be meant, but something beside tells
        ("신정무 판사가 왔다.", ["신정무"]),
        ("이문형(서울시청)을 뽑았다.", ["이문형"]),
        ("이문형, 심은하 등이 왔다.", ["이문형", "심은하"]),
        ("한석규, 이금범, 심은하 등이 왔다.", ["한석규", "이금범", "심은하"]),
        ("배우 공유, 가수 거미의 노래", ["공유", "거미"]),
        ("최혁 신민아 나오는 영화", ["최혁", "신민아"]),
        ("강제로 천 지훈을 만났다.", ["천 지훈"]),
        # without a space
        ("꼭 보시고 김지훈감독님을 응원합시다.", ["김지훈"]),
        ("톰크루즈보는거랑 김태희연기가 좋다.", ["톰크루즈", "김태희"]),
        # only persons are given things
        ("그는 밀너에게 골을 내줬다.", ["밀너"]),
        # foreign names
        ("베르티너는 웃었다.", ["베르티너"]),
        ("에당 아자르가 뛰었다. 라스 폰 트리에의 작품이다.", ["에당 아자르", "라스 폰 트리에"]),
        ("로켈 바딘도 있었다. 밥 호킨스도 있었다.", ["로켈 바딘", "밥 호킨스"]),
        ("톰 코슬도 있었다.", ["톰 코슬"]),
        ("계씨는 웃었다.", ["계"]),
        ("윤 모씨의 남편", ["윤"]),
        # no list has them, but they are made of no words
        ("어제 광훈은 핫세의 집에 있었다.", ["광훈", "핫세"]),
        # shapes of words, but known or with something beside them
        ("유해진과 정해진 씨가 왔다.", ["유해진", "정해진"]),
        ("정의선의 차, 지훈형의 차", ["정의선", "지훈"]),
    ],
)
def test_finds_persons(text: str, names: list[str]) -> None:
    assert names_in(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "이 함수는 두 개의 인수를 받아 정수 값을 반환합니다.",
        "전 대표가 아니라 현 대표의 결정이다.",
        "이용자가 정보를 입력하면 서버가 이를 저장한다.",
        "과적합을 방지한다. 계수를 추정한다.",
        "날씨가 좋고 글씨가 예쁜 아가씨",
        "영화 감독과 국가 대표 선수",
        "현재 트위터에 게시물이 올라왔다.",
        "Mark the box and will the art be in May?",
        "Step 1: Run the Docker Container in New York",
        "Dec 10 06:55:46 LabSZ sshd[24200]: invalid user john",
        "Dear Customer, Dear Sir or Madam, From: Support",
        "5A씨, v2A군",
        "X군과 Y양은 집단과 양이다. 적용 대상: Z군",
        "이 정 조 셋 중에 이 것과 정 반대의 조",
        "주차장 운영 사항과 신고자, 신고지, 피해 신고에 따른 미신고 가산세와 무신고",
        "펌프차 1대가 권리를 충분히 보장하는 계획을 추진할 예정이다.",
        "보도에 따르면 바람에 슬프지 않고 커다란 신도시를 추진하는",
        "시험이 끝나면 위험이 줄고 이혼에 관한 이론에 밝아진다.",
        "전라권과 배수로, 방화복과 고의성, 제정신과 고용률",
        "정상은 하나였고 이숙소가 가장 좋았다.",
        "깊이 우려했다가 널리 나타냈던 하락폭이 커졌다.",
        "쉬고 매달 두 번 거쳐 온 길",
        "쉬게 하얀 것과 줄로 하얀 것, 틀린 하얀 것과 밀린 하얀 것",
        "내가 봤던 지브리 작품",
        "광은이 난다. 규은을 보았다.",
        "최혁 나오는 밀너를 보았다.",
        "엘리베이터가 없고 라디에이터가 있다. 샤워기가 좋다.",
        "콜로라도와 페테르부르크, 도네츠크주와 바르델섬에 갔다.",
        "가격이 규모와 비율에 따라 무엇보다 달라졌다.",
        # the dictionary knows persons of these names as well
        "두 개 이상의 사람이 그 방법을 이용한 뒤 옆으로 이동한 것이다.",
        "구현이 끝나고 지정은 나중에 한다. 같은 유형일 때",
        # two verbs in one
        "미리 정해진 순서대로 나눠준 책은 소식을 전해준다고 여겨진다. 더 강해진 비",
        # native words in a row that syllables of foreign names make up
        "이름은 올바르지 않고, 하려면 배포판을 고른다. 장에서는",
        # what somebody is, before what is no name
        "피해자 신고에 의하여, 아들의 이름을 묻고, 부모님이 언제나, 대표 형태이며 사교육 시장의 팽창이",
        "산업 중심으로 미래형 산업을 키운다. 전라남도와 충청북도",
        "키오스크와 네임스페이스, 그레이스케일과 아크탄젠트, 메인테이너가 있다.",
    ],
)
def test_takes_no_word_for_a_person(text: str) -> None:
    assert names_in(text) == []


def test_a_name_alone_needs_more_in_technical_prose() -> None:
    assert names_in("지훈이 왔다.") == ["지훈"]
    assert names_in("서버 로그 파일의 지훈이 왔다.") == []
    assert names_in("서버 로그 파일을 김지훈이 보았다.") == ["김지훈"]


@pytest.mark.parametrize(
    "text", ["가" * 50_000, "김 " * 20_000, "존 " * 20_000, "A씨 " * 10_000, "John " * 10_000, "김철수" * 9_000]
)
@pytest.mark.timeout(20)
def test_hostile_text_takes_bounded_time(text: str) -> None:
    names_in(text)


def test_names_are_found_wherever_they_stand_in_a_long_text() -> None:
    between = "그리고 나서 아주 긴 이야기가 계속 이어졌는데 " * 3
    text = f"김철수가 왔다. {between}조니 뎁이 나왔다. {between}담당자 박서준, {between}이영희를 만났다."
    assert names_in(text) == ["김철수", "조니 뎁", "박서준", "이영희"]
