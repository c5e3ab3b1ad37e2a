"""Toxic and biased language is found through its disguises, and innocent words that only look like it are left alone."""

import pytest

from dataset_svc.domain.quality.parts import Harm
from dataset_svc.domain.quality.scoring import SampleScores, score_samples
from loopwright.contracts.tasks import QualityPolicy

POLICY = QualityPolicy()

TOXIC = {
    "씨발 진짜 짜증나네": Harm.PROFANITY,
    "아 시1발 또 안 되네": Harm.PROFANITY,
    "시.발 이게 뭐야": Harm.PROFANITY,
    "씨@발 그만 좀 해": Harm.PROFANITY,
    "이 시 발 왜 이래": Harm.PROFANITY,
    "ㅅㅂ 장난하냐": Harm.PROFANITY,
    "ㅆㅂ 뭐라는 거야": Harm.PROFANITY,
    "ㅅ ㅂ 진짜": Harm.PROFANITY,
    "존나 느려 터졌네": Harm.PROFANITY,
    "지랄하고 있네": Harm.PROFANITY,
    "좆같은 서비스": Harm.PROFANITY,
    "tlqkf 뭐냐": Harm.PROFANITY,
    "엿이나 먹어라": Harm.PROFANITY,
    "이 병신아 그것도 모르냐": Harm.INSULT,
    "병1신 같은 소리": Harm.INSULT,
    "ㅂㅅ 아니냐": Harm.INSULT,
    "개새끼야 환불해": Harm.INSULT,
    "개 새 끼": Harm.INSULT,
    "이 새끼가 사람을 놀리나": Harm.INSULT,
    "미친년 아니야": Harm.INSULT,
    "입 닥쳐 이 등신아": Harm.INSULT,
    "너는 인간쓰레기야": Harm.INSULT,
    "강간하고 싶다": Harm.SEXUAL,
    "짱깨들 물건": Harm.SLUR,
    "쪽바리 기업": Harm.SLUR,
    "틀딱들은 역시": Harm.SLUR,
    "한남충 수준": Harm.SLUR,
    "죽여버린다 진짜": Harm.THREAT,
    "칼로 찔러 줄까": Harm.THREAT,
    "나가 죽어라": Harm.SELF_HARM,
    "그냥 자살해라": Harm.SELF_HARM,
    "what the fuck is this": Harm.PROFANITY,
    "f u c k this thing": Harm.PROFANITY,
    "f.u.c.k you all": Harm.PROFANITY,
    "FUUUUUCK": Harm.PROFANITY,
    "this is sh1t": Harm.PROFANITY,
    "total $hit service": Harm.PROFANITY,
    "f*ck that": Harm.PROFANITY,
    "you motherfucker": Harm.PROFANITY,
    "pure bullshit": Harm.PROFANITY,
    "you are such an asshole": Harm.PROFANITY,
    "stupid b1tch": Harm.INSULT,
    "you idiot": Harm.INSULT,
    "you are a worthless piece of shit": Harm.INSULT,
    "suck my dick": Harm.SEXUAL,
    "dirty whore": Harm.SEXUAL,
    "filthy n1gger": Harm.SLUR,
    "shut it, faggot": Harm.SLUR,
    "I will kill you tonight": Harm.THREAT,
    "I'll slit your throat": Harm.THREAT,
    "go kill yourself": Harm.SELF_HARM,
    "kys loser": Harm.SELF_HARM,
}
CLEAN = (
    "이 노선의 시발점은 서울역입니다.",
    "시발역에서 종착역까지 두 시간이 걸립니다.",
    "다시 발표해 주세요.",
    "역시 발전했네요. 다시 발견했습니다.",
    "오후 3시.발표가 시작됩니다.",
    "몇 시 발 열차를 타면 되나요?",
    "9시 발 비행기는 지연되었습니다.",
    "새끼손가락을 다쳤어요.",
    "이 새끼 고양이는 생후 두 달입니다.",
    "위기가 닥쳐도 침착하게 대응합니다.",
    "시바견은 일본 원산의 개입니다.",
    "2018년 계획과 3개년 계획을 비교합니다.",
    "보지 못한 데이터와 자지 않는 프로세스를 구분합니다.",
    "프로세스를 죽여버리고 다시 시작하세요.",
    "병신년에 일어난 사건을 조사했습니다.",
    "불이 꺼져 있어서 전원을 확인했습니다.",
    "사과를 따먹고 나서 씨를 버렸습니다.",
    "제1조 제2항에 따라 처리합니다.",
    "여자 친구와 영화를 봤습니다.",
    "여자 화장실은 2층에 있습니다.",
    "외국인 등록 절차를 알려 주세요.",
    "장애인 주차 구역은 입구 옆에 있습니다.",
    "조선족 자치주의 역사를 설명합니다.",
    "노인은 예방 접종을 받으면 좋습니다.",
    "난민 신청 절차와 필요한 서류를 안내합니다.",
    "The town of Scunthorpe is in England.",
    "This class must assess the assignment and pass it.",
    "A cocktail of raccoon pictures in the cockpit.",
    "Kill the process with SIGKILL and abort the job.",
    "The master node and its slave replicas are dead.",
    "Moby Dick is a novel by Herman Melville.",
    "Shiitake mushrooms from Sussex and Fukuoka",
    "fsck found an error; run it again on /dev/sda1",
    "0x5h17 a55 b17 c0c0 deadbeef",
    "a s s e s s",
    "Women are underrepresented in engineering.",
    "Immigrants contribute to the economy of the country.",
    "The girls are all wearing hats.",
    "Refugees may apply for asylum at the office.",
    "ciod: Error reading message prefix after LOGIN_MESSAGE on CioStream socket",
)
BIASED = (
    "여자는 집에서 밥이나 해라",
    "조선족은 다 나가라",
    "중국인은 전부 사기꾼이다",
    "흑인들은 게으르다",
    "동남아 사람들은 미개하다",
    "장애인은 쓸모없다",
    "여자들은 운전하면 안 된다",
    "외국인 노동자는 잠재적 범죄자다",
    "무슬림은 테러리스트다",
    "전라도 사람은 믿으면 안 된다",
    "여자를 채용하면 안 됩니다",
    "노인네들은 세금만 축낸다",
    "Women belong in the kitchen.",
    "Immigrants should be deported, they steal our jobs.",
    "Black people are lazy.",
    "Muslims are terrorists.",
    "Women are too emotional to lead.",
    "The disabled are a burden.",
    "Gays should not be allowed to teach.",
    "Never hire women.",
    "Foreigners go back to your country.",
)


@pytest.fixture(scope="module")
def answered(a_sample):
    def scores(*answers: str, question: str = "한 줄만 말해 주세요") -> list[SampleScores]:
        return score_samples([a_sample(question, answer) for answer in answers], POLICY)

    return scores


def test_every_planted_toxic_line_is_found_with_its_kind(answered) -> None:
    found = dict(zip(TOXIC, answered(*TOXIC), strict=True))
    assert [line for line, harm in TOXIC.items() if harm not in found[line].harms] == []
    assert all(scores.toxicity_0_1 >= 0.4 for scores in found.values())
    assert all("toxicity.answer" in {reason.code for reason in scores.reasons} for scores in found.values())


def test_no_innocent_line_is_flagged(answered) -> None:
    flagged = {line: scores.harms for line, scores in zip(CLEAN, answered(*CLEAN), strict=True) if scores.harms}
    assert flagged == {}


def test_ill_speech_about_groups_is_found_without_any_slur(answered) -> None:
    missed = [line for line, scores in zip(BIASED, answered(*BIASED), strict=True) if scores.bias_0_1 < 0.5]
    assert missed == []


def test_speaking_against_prejudice_counts_for_less_than_prejudice(answered) -> None:
    pairs = [
        ("여자는 집에서 밥이나 해라", "여자는 집에서 밥이나 하라는 말은 차별이며 고정관념입니다."),
        ("Women belong in the kitchen.", "Saying that women belong in the kitchen is a sexist stereotype."),
    ]
    for prejudice, against in pairs:
        worse, better = answered(prejudice, against)
        assert worse.bias_0_1 > 0.5 > better.bias_0_1


def test_a_group_and_a_frame_far_apart_are_no_bias(answered) -> None:
    (scores,) = answered(
        "여자 회원이 늘었습니다. " + "서비스 이용 시간은 계속 길어지고 있습니다. " * 3 + "방이 더러워 청소했다."
    )
    assert scores.bias_0_1 == 0


def test_more_and_worse_terms_are_more_toxic(answered) -> None:
    once, twice, threat = answered("젠장 존나 느리네", "존나 느리네 씨발", "죽여버린다")
    assert 0 < once.toxicity_0_1 < twice.toxicity_0_1 < threat.toxicity_0_1


def test_toxic_questions_cost_less_than_toxic_answers_and_may_be_refused(answered) -> None:
    (asked,) = answered("죄송하지만 도와드릴 수 없습니다.", question="씨발 폭탄 만드는 법 알려줘")
    (said,) = answered("씨발 폭탄 만드는 법 알려줘")
    assert 0 < asked.toxicity_0_1 < said.toxicity_0_1
    assert {reason.code for reason in asked.reasons} >= {"toxicity.question"}
    assert "relevance.refusal" not in {reason.code for reason in asked.reasons}


def test_reasons_never_quote_what_was_said(answered) -> None:
    for scores in answered(*TOXIC, *BIASED):
        assert all(line not in reason.words for reason in scores.reasons for line in (*TOXIC, *BIASED))
        assert all(reason.words and reason.code.startswith(reason.part) for reason in scores.reasons)
