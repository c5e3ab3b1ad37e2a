"""Planted good and bad samples in Korean and English: the bad ones lose points in their part, and say why."""

import pytest

from dataset_svc.domain.quality.parts import Part
from dataset_svc.domain.quality.scoring import SampleScores, score_samples
from loopwright.contracts.tasks import QualityPolicy

POLICY = QualityPolicy()
KOREAN = "서버의 디스크가 가득 차면 로그를 쓰지 못해 서비스가 멈춥니다. 먼저 오래된 로그 파일을 지우고 서비스를 다시 시작하세요."
ENGLISH = "The server stops when its disk is full, because it cannot write to the log. Delete old log files and restart the service."
ASK_KO, ASK_EN = "서버가 왜 멈췄는지 설명해 주세요", "Explain why the server stopped with a full disk"

GOOD = (
    (ASK_KO, KOREAN),
    (ASK_EN, ENGLISH),
    ("대한민국의 수도는 어디인가요?", "서울입니다."),
    ("What is the capital of France?", "Paris"),
    ("Is the disk full?", "Yes."),
    ("이 문장은 긍정인가 부정인가: 배송이 정말 빨라요", "긍정"),
    ("instruction cache parity error corrected", '{"status":"normal"}'),
    ("081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating", "normal"),
    ("- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 RAS KERNEL INFO instruction cache parity error corrected", '{"status": "alert"}'),
    ("Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh", "alert"),
    ("[Sun Dec 04 04:47:44 2005] [error] mod_jk child workerEnv in error state 6", "error"),
    ("3 더하기 4는 얼마인가요?", "7"),
    ("파이썬으로 두 수를 더하는 함수를 작성해 주세요", "```python\ndef add(a, b):\n    return a + b\n```"),
    ("Write a SQL query that counts users", "SELECT COUNT(*) AS n FROM users WHERE deleted_at IS NULL;"),
    ("List three fruits", "1. Apple\n2. Banana\n3. Cherry"),
    ("과일 세 가지를 나열해 줘", "- 사과\n- 배\n- 포도"),
    ("Translate to Korean: The server is down.", "서버가 다운되었습니다."),
    ("다음을 영어로 번역해 줘: 서버가 멈췄습니다.", "The server has stopped working, so please check its log files."),
    ("비밀번호를 잊어버렸어요. 어떻게 해야 하나요?", "로그인 화면에서 '비밀번호 찾기'를 누르고 이메일로 받은 링크에서 비밀번호를 새로 정하시면 됩니다."),
    ("VPN이 연결되지 않아요", "VPN 프로그램을 종료한 뒤 다시 실행하고, 그래도 연결되지 않으면 서비스 데스크로 문의해 주세요."),
    ("How do I reset my password?", "Open the sign-in page, choose 'Forgot password', and follow the link that we send to your e-mail address."),
    ("GPU 메모리가 부족할 때 해결 방법을 알려줘", "배치 크기를 줄이거나 gradient checkpointing을 켜면 GPU 메모리 사용량이 줄어듭니다. 그래도 부족하면 LoRA를 쓰세요."),
    ("쿠버네티스에서 Pod가 계속 재시작되는 이유가 뭔가요?", "Pod가 재시작되는 이유는 보통 메모리 한도 초과나 liveness probe 실패입니다. kubectl describe pod 명령으로 이벤트를 확인하세요."),
    ("회의록을 한 문장으로 요약해 줘: 다음 주 배포는 금요일로 미뤄졌고 담당자는 개발팀이다.", "다음 주 배포가 금요일로 연기되었으며 개발팀이 담당합니다."),
    ("오늘 회의 몇 시야?", "오후 세 시에 시작합니다."),
    ("환불 규정을 알려 주세요", "구매 후 7일 이내에는 전액 환불해 드립니다. 7일이 지나면 사용한 만큼을 빼고 환불합니다."),
    ("What does HTTP 503 mean?", "It means that the service is unavailable for now, so the client may try again later."),
    ("[이름]의 연락처를 확인했나요?", "네, [이름]님의 연락처는 [전화번호]로 확인되었습니다."),
    ("Give me two synonyms for fast", "quick, rapid"),
    ("다음 문장의 감정을 분류하세요: 너무 느리고 불친절했어요", '{"label": "negative", "score": 0.97}'),
    ("Compute 12*12", "144"),
    ("질문: 물의 끓는점은?", "섭씨 100도입니다."),
)  # fmt: skip

# question, answer, the flaw that must be named
BAD = (
    (ASK_KO, "", "length.empty"),
    (ASK_EN, "   \n ", "length.empty"),
    (ASK_EN, "...", "length.empty"),
    (ASK_KO, "?!", "length.empty"),
    (ASK_KO, "몰라요", "length.too-short"),
    (ASK_EN, "No idea.", "length.too-short"),
    ("이 오류의 원인을 자세히 설명해 주세요", "네", "length.too-short"),
    ("Write an essay about the sea", "ok", "length.too-short"),
    ("", ENGLISH, "length.empty-question"),
    (ASK_EN, "it is very very very good " * 12, "diversity.few-words"),
    (ASK_KO, "정말 좋은 제품이고 정말 좋은 서비스입니다 " * 8, "diversity.few-words"),
    (ASK_EN, "Please restart the server and wait for it. " * 8, "diversity.repeated-phrases"),
    (ASK_KO, "서비스를 다시 시작하고 로그를 확인해 주세요. " * 8, "diversity.repeated-phrases"),
    (ASK_EN, "buy now " * 60, "diversity.compressible"),
    (ASK_KO, "최고최고최고" * 40, "diversity.compressible"),
    (ASK_EN, "The first line is here.\n" * 6 + "Then it ends with another one.", "diversity.repeated-lines"),
    (ASK_KO, "로그를 먼저 확인하세요.\n" * 6 + "그다음 다시 시작합니다.", "diversity.repeated-lines"),
    (ASK_EN, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa yes", "diversity.repeated-character"),
    (ASK_KO, "와아아아아아아아아아아아아아아아아아아", "diversity.repeated-character"),
    (ASK_KO, "¾È³çÇÏ¼¼¿ä ¼­¹ö°¡ ¸ØÃè½À´Ï´Ù", "fluency.mojibake"),
    (ASK_KO, "ì„œë²„ê°€ ë©ˆì·„ìŠµë‹ˆë‹¤ ë¡œê·¸ë¥¼ í™•ì¸í•˜ì„¸ìš”", "fluency.mojibake"),
    (ASK_KO, "서버가 \ufffd\ufffd\ufffd 멈췄습니다 \ufffd\ufffd", "fluency.mojibake"),
    (ASK_KO, "占쏙옙占쏙옙 확인하세요 占쏙옙", "fluency.mojibake"),
    (ASK_EN, "The caf\ufffd\ufffd is closed \ufffd today", "fluency.mojibake"),
    (ASK_KO, "ㅋㅋㅋㅋㅋㅋ 그걸 왜 물어봄 ㅋㅋㅋㅋ", "fluency.lone-jamo"),
    (ASK_KO, "ㅇㅇ ㄱㄱ ㅎㅇ ㅂㅂ", "fluency.lone-jamo"),
    (ASK_KO, "ㅗ디ㅣㅐ 재깅 ㅗㅐㅈ ㅁㄱㄷ 됴ㅕ", "fluency.lone-jamo"),
    (ASK_KO, "ㅅㅓㅂㅓ ㅈㅐㅅㅣㅈㅏㄱ", "fluency.lone-jamo"),
    (ASK_KO, "몇일 동안 서버가 멈췄는지 확인해야 되요", "fluency.misspelt"),
    (ASK_KO, "그렇게 하면 안되요", "fluency.misspelt"),
    (ASK_KO, "어제 서버실에 갔엇다", "fluency.misspelt"),
    (ASK_KO, "제가 다시 확인할께요. 어떻해 해야 할지 알려 드릴께요.", "fluency.misspelt"),
    (ASK_KO, "금새 해결됬습니다", "fluency.misspelt"),
    (ASK_KO, "왠만하면 설겆이는 내일 할꺼예요", "fluency.misspelt"),
    (ASK_KO, "서버가 죽엇어요 그래서 껏다 켯는데 안되요", "fluency.misspelt"),
    (ASK_KO, "오랫만에 뵈요 역활을 나누겟습니다", "fluency.misspelt"),
    (ASK_EN, "I recieve teh mail definately tommorow", "fluency.misspelt"),
    (ASK_EN, "You should of restarted it becuase the disk was full", "fluency.misspelt"),
    (ASK_EN, "He don't know wich goverment is responsable", "fluency.misspelt"),
    (ASK_EN, "They was using alot of memory untill it occured again", "fluency.misspelt"),
    (ASK_EN, "server disk full error log crash memory process restart failure cause kernel network storage", "fluency.no-function-words"),
    (ASK_KO, "서버 디스크 오류 로그 메모리 프로세스 재시작 실패 원인 커널 네트워크 저장소 점검 필수", "fluency.no-function-words"),
    (ASK_EN, "YOU MUST RESTART THE SERVER NOW AND DELETE ALL OF THE LOG FILES AT ONCE", "fluency.shouting"),
    (ASK_EN, "The server (which was running on the [old node stopped because the disk (and its copy was full.", "fluency.unbalanced"),
    (ASK_KO, "서버는 (디스크가 가득 차서 [로그를 쓰지 못해 멈췄습니다. 파일을 지우고 다시 시작하세요.", "fluency.unbalanced"),
    (ASK_EN, "The server stops when its disk is full. You should delete the old log files and then restart the", "fluency.unfinished"),
    (ASK_EN, "xqzjk wvbnq plkjhgf qwrtzx zxcvbnm sdfghjkl", "fluency.implausible"),
    (ASK_EN, "asdfjkl qwjrtp zxvqkd bvcxzq hjklfd", "fluency.implausible"),
    (ASK_KO, "뷁쉛뙓 꿻뤫뛟 쮋뱗퀪 뗇쩕쫇 홃뾳", "fluency.implausible"),
    (ASK_KO, "dkssudgktpdy rkatkgkqslek", "fluency.keyboard"),
    (ASK_KO, "tjqjfmf wotlwkrgktpdy", "fluency.keyboard"),
    (ASK_EN, "@#$%^&* !!! ??? ~~~ ### $$$ ok", "fluency.symbols"),
    (ASK_KO, "★☆★☆★☆★☆ ♥♥♡♡ 굿", "fluency.symbols"),
    (ASK_KO, ASK_KO, "relevance.echo"),
    (ASK_EN, ASK_EN, "relevance.echo"),
    ("What causes the kernel to panic on old nodes?", "What causes the kernel to panic on old nodes", "relevance.echo"),
    (ASK_EN, "Bananas grow in warm countries and taste sweet. Farmers pick them green, ship them by boat, and sell them to shops for breakfast.", "relevance.off-topic"),
    ("데이터베이스 백업 절차를 단계별로 정리해 주세요", "바나나는 따뜻한 나라에서 자라는 과일이며 맛이 달콤합니다. 농부들은 초록색일 때 따서 배로 실어 보내고 가게에서 판매합니다.", "relevance.off-topic"),
    (ASK_KO, "죄송하지만 저는 인공지능 언어 모델이라 도와드릴 수 없습니다.", "relevance.refusal"),
    (ASK_KO, "답변드릴 수 없습니다.", "relevance.refusal"),
    (ASK_EN, "I'm sorry, but I can't assist with that request.", "relevance.refusal"),
    (ASK_EN, "As an AI language model, I do not have access to servers.", "relevance.refusal"),
    (ASK_EN, "Lorem ipsum dolor sit amet, click here to read more.", "relevance.boilerplate"),
    (ASK_KO, "여기에 입력 - 답변을 입력하세요", "relevance.boilerplate"),
    (ASK_EN, '{"status": "alert"', "format.broken-json"),
    (ASK_EN, "{'status': 'alert'}", "format.broken-json"),
    (ASK_EN, '[{"a": 1}, {"a": 2]', "format.broken-json"),
    (ASK_EN, "Use this:\n```python\nprint(1)\n", "format.open-fence"),
    (ASK_KO, "아래처럼 하세요.\n```bash\nsystemctl restart app\n", "format.open-fence"),
    (ASK_EN, "Restart the server.<|im_end|>", "format.template"),
    (ASK_KO, "### Response: 서버를 다시 시작하세요.", "format.template"),
    (ASK_EN, "Dear [your name], restart the server.", "relevance.boilerplate"),
    (ASK_KO, ENGLISH, "language.other-than-asked"),
    (ASK_EN, KOREAN, "language.other-than-asked"),
    (ASK_EN, "Der Server ist nicht mehr erreichbar und die Festplatte ist voll, aber wir sind auch noch da.", "language.other-than-asked"),
    (ASK_KO, "Le serveur est en panne et nous ne savons pas pourquoi, mais le disque est plein.", "language.other-than-asked"),
    (ASK_EN, "サーバーが停止しました。ディスクがいっぱいです。古いログ を 削除 して ください。", "language.other-than-asked"),
)  # fmt: skip


@pytest.fixture(scope="module")
def scores_of(a_sample):
    def scores(*pairs: tuple[str, str]) -> list[SampleScores]:
        samples = [a_sample(question, answer, sample_id=str(place)) for place, (question, answer) in enumerate(pairs)]
        return score_samples(samples, POLICY)

    return scores


def codes(scores: SampleScores) -> set[str]:
    return {reason.code for reason in scores.reasons}


def test_good_samples_of_every_kind_have_no_flaw(scores_of) -> None:
    flawed = {pair: codes(scores) for pair, scores in zip(GOOD, scores_of(*GOOD), strict=True) if scores.reasons}
    assert flawed == {}
    assert all(scores.total == 1 for scores in scores_of(*GOOD))


def test_bad_samples_name_their_flaw(scores_of) -> None:
    found = scores_of(*((question, answer) for question, answer, _ in BAD))
    assert {row: codes(scores) for row, scores in zip(BAD, found, strict=True) if row[2] not in codes(scores)} == {}


def test_a_named_flaw_lowers_its_part_and_every_bad_sample_ranks_below_every_good_one(scores_of) -> None:
    bad = scores_of(*((question, answer) for question, answer, _ in BAD))
    worst_good = min(scores.total for scores in scores_of(*GOOD))
    for scores in bad:
        assert scores.total < worst_good
        assert all(scores.part(reason.part) <= 0.9 for reason in scores.reasons)
        assert {part for part in Part if scores.part(part) < 1} == {reason.part for reason in scores.reasons}


@pytest.mark.parametrize(
    ("better", "worse", "part"),
    [
        ("어제 서버실에 갔었다", "어제 서버실에 갔엇다", Part.FLUENCY),
        ("며칠 걸려요. 그렇게 하면 안 돼요", "몇일 걸려요. 그렇게 하면 안되요", Part.FLUENCY),
        (KOREAN, KOREAN + " " + KOREAN + " " + KOREAN, Part.DIVERSITY),
        (ENGLISH, ENGLISH.upper(), Part.FLUENCY),
        (KOREAN, KOREAN.encode().decode("latin-1"), Part.FLUENCY),
        (KOREAN, KOREAN.encode("cp949").decode("latin-1"), Part.FLUENCY),
        (ENGLISH, "I cannot help with that. " + ENGLISH, Part.RELEVANCE),
        (KOREAN, "네", Part.LENGTH),
    ],
)
def test_the_spoilt_twin_ranks_below(scores_of, better: str, worse: str, part: Part) -> None:
    good, bad = scores_of((ASK_KO, better), (ASK_KO, worse))
    assert good.part(part) > bad.part(part)


def test_more_repetition_and_more_mistakes_cost_more(scores_of) -> None:
    few, many = scores_of((ASK_KO, KOREAN + " " + KOREAN), (ASK_KO, (KOREAN + " ") * 12))
    assert few.part(Part.DIVERSITY) > many.part(Part.DIVERSITY)
    one, three = scores_of((ASK_KO, KOREAN + " 그러면 되요."), (ASK_KO, "몇일 되요. 안되요. 금새 됬어요."))
    assert 1 > one.part(Part.FLUENCY) > three.part(Part.FLUENCY)


def test_labels_and_json_may_repeat_in_every_sample(scores_of) -> None:
    found = scores_of(*((f"node {place} ready", '{"status":"normal"}') for place in range(50)))
    assert {scores.total for scores in found} == {1.0}
