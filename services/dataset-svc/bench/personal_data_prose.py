"""Technical prose without a person in it, Korean and English: what must stay as it is when names are looked for.

Half of the words look like names: 이상, 정지, 주기, 고장, 한계, an 이서버, classes, products, places, transliterated terms.
"""
# ruff: noqa: INP001, SIM905 - a script beside the package; words are read best in a row

import re
from collections.abc import Iterator
from itertools import product

# a particle as it stands after a consonant and after a vowel
_PARTICLE = re.compile("(?<=([가-힣]))([이을과])/([가를와])")

_KOREAN_FRAMES = (
    "{0}에서 {1} 오류가 발생하여 {2}을/를 점검했습니다.",
    "{2} 담당 부서에 {0}의 {1}을/를 보고해 주세요.",
    "[INFO] {0} {1} 완료, {2} 대기 중",
    "{0}의 {1} 값을 바꾸기 전에 {2} 문서를 읽으십시오.",
    "고객님, {0}의 {1} 문제는 {2} 교체 후 해결되었습니다.",
    "{1}이/가 반복되면 {0}을/를 끄고 {2}을/를 다시 연결합니다.",
    "어제부터 {0}이/가 {1} 상태라서 {2} 팀에 넘겼어요.",
    "{0} 클래스는 {1}과/와 {2}을/를 상속합니다.",
)
_PLACES = "이서버 주서버 부서버 송신기 수신부 조정실 배전반 전산실 남동공단 강남센터 신도림역 유성지점 안산공장 서초사옥".split()
_STATES = "이상 정지 주기 고장 한계 이동 지연 정수 변수 최대 최소 진행 유실 공유 안정 오류 제한 조정 현재 신호 황색등 전환".split()
_THINGS = "장비 전원 배터리 라우터 모니터 레지스터 커넥터 라이브러리 컨테이너 인덱서 스케줄러 로거 제이쿼리 주피터 자바 루비".split()
_KOREAN = """
이상 감지 모듈이 정지 신호를 보내면 주기 타이머가 멈춘다.
전원 장치의 고장 원인은 한계 온도를 넘은 것이다.
이서버는 예비용이고 주서버가 정지하면 대신 응답한다.
정수 나눗셈과 실수 나눗셈의 차이를 설명해 주세요.
최소 길이와 최대 길이는 설정 파일에서 정한다.
조건이 참이면 반복하고 거짓이면 빠져나간다.
하루 한 번 도는 작업을 한 시간마다 도는 작업으로 바꿨다.
이 메서드는 지정한 경로의 하위 폴더를 모두 나열한다.
안드로이드와 아이폰에서 같은 화면이 나오는지 확인했다.
도커 이미지를 레지스트리에 올린 뒤 젠킨스가 배포한다.
그라파나에서 프로메테우스 지표를 조회한다.
카프카 브로커가 주키퍼와 연결을 잃었다.
레디스 캐시를 비우고 엔진엑스를 다시 띄웠습니다.
파이썬 3.12에서는 이 구문이 경고를 낸다.
리액트 훅의 의존 배열이 비어 있어서 갱신되지 않습니다.
하이퍼바이저가 게스트의 메모리를 회수했다.
서울 리전의 장애로 도쿄 리전으로 전환했다.
대전 데이터 센터의 냉각수 유량이 기준보다 낮다.
강원 지점 회선은 내일 새벽에 점검합니다.
부산과 광주 사이의 지연이 두 배로 늘었다.
한글 파일을 열면 글자가 깨져 보입니다.
문서 양식이 바뀌어 표 너비를 조정해야 합니다.
윤곽선을 그린 뒤 배경을 지우는 방법을 알려 주세요.
황동 밸브의 조임 토크는 도면에 적혀 있다.
유량계의 영점을 조정하고 기록지를 갈았다.
고무 패킹이 마모되어 오일이 조금씩 샌다.
안전핀을 뽑지 않으면 레버가 움직이지 않는다.
주형 온도가 고르지 않아 표면에 기포가 생겼다.
연마 공정의 불량률이 이번 주에 줄었다.
인장 시험과 압축 시험의 결과를 표로 정리했다.
방진 마스크와 보안경을 쓰고 작업하십시오.
오전 점검에서 지게차의 유압유가 부족했다.
현장 사무소의 복합기가 용지를 두 장씩 뽑는다.
배관 용접부에서 미세한 균열이 발견되었다.
임계 구역에 두 스레드가 동시에 들어갔다.
손실 함수가 발산하면 학습률을 낮추고 배치를 키운다.
로지스틱 회귀와 랜덤 포레스트를 비교했다.
가우시안 커널의 폭은 교차 검증으로 정한다.
베이지안 최적화로 하이퍼파라미터를 찾았다.
푸리에 변환을 거친 신호에서 잡음을 걸러 낸다.
유클리드 거리 대신 코사인 유사도를 쓴다.
라플라스 평활을 적용하면 확률이 영이 되지 않는다.
마르코프 연쇄의 정상 분포를 구하시오.
피보나치 수열을 재귀로 계산하면 느려진다.
해밍 거리가 가장 작은 부호어를 고른다.
오라클에서 포스트그레스로 옮기면서 시퀀스를 새로 만들었다.
마리아디비 복제가 멈춰서 바이너리 로그를 다시 읽혔다.
엑셀 파일의 피벗 테이블이 새로 고쳐지지 않아요.
구글 시트에서 중복 행을 지우는 수식이 궁금합니다.
카카오 로그인 토큰이 만료되면 어떤 코드가 오나요?
네이버 지도 키를 새로 발급받았는데 인증이 실패합니다.
쿠팡 주문 연동이 어젯밤부터 멈췄습니다.
환불 요청이 접수되었고 영업일 기준 사흘 안에 처리됩니다.
구독을 해지하면 다음 결제일부터 요금이 나가지 않습니다.
배송 조회 화면이 흰색으로만 나옵니다.
비밀번호를 다섯 번 틀려 계정이 잠겼습니다.
문의하신 기능은 다음 판에서 제공될 예정입니다.
상담원이 모두 통화 중이니 잠시 후 다시 걸어 주세요.
이용 약관 제3조에 따라 서비스가 제한될 수 있습니다.
모델명과 제조 번호를 알려 주시면 보증 기간을 확인해 드립니다.
화면 밝기를 낮추면 전지가 더 오래갑니다.
유심을 뺐다가 다시 끼우고 전화를 켜 보세요.
공유기 뒷면의 초기화 구멍을 십 초 동안 누릅니다.
한도를 넘은 요청은 429 코드로 거절된다.
이벤트 루프가 막히지 않도록 긴 계산은 따로 돌린다.
자바의 가비지 컬렉터가 멈춘 시간을 기록했다.
고루틴이 채널을 기다리다 교착에 빠졌다.
러스트의 빌림 검사기가 이 코드를 거부한다.
스프링 부트의 설정 클래스에서 빈을 등록한다.
장고 모델에 필드를 더하고 마이그레이션을 만들었다.
테라폼 상태 파일이 잠겨 있어 적용할 수 없다.
헬름 차트의 기본값을 덮어쓰는 방법을 찾습니다.
깃허브 액션이 캐시를 찾지 못해 오래 걸립니다.
지라 티켓의 상태를 진행 중으로 바꿨습니다.
슬랙 알림이 오지 않아 웹훅 주소를 확인했다.
노션 페이지를 피디에프로 내보내면 표가 잘립니다.
""".strip().splitlines()
_ENGLISH_FRAMES = (
    "The {0} could not reach {1} after three attempts.",
    "Restart {1} before you change the {0} of the cluster.",
    "WARN [{1}] {0} exceeded its limit, retrying",
    "Why does {1} return null when the {0} is empty?",
    "class {1}Factory builds a {0} for every request.",
)
_ENGLISH_PARTS = "scheduler broker replica certificate buffer gateway parser tensor".split()
_PRODUCTS = "Kafka Jenkins Jupyter Docker Grafana Ruby Julia Jira Django Ada Victoria Austin Phoenix Chelsea".split()
_ENGLISH = """
Push the Docker image to Amazon ECR and restart Jenkins.
The Gaussian kernel and the Laplace prior give the same answer here.
Run Jupyter in Chrome and open the San Francisco dataset.
May I mark the Will clause as optional in the April release?
The Turing machine halts; the Bayes classifier does not converge.
Use Newton steps when the Hessian is positive definite.
Grant SELECT on schema sales to role analyst.
Java and Ruby bindings are generated from the same Swift file.
Virginia is the default region, Oregon the second one.
Rose plots and Jade templates are not supported in Safari.
The Fourier transform of a Dirac comb is again a Dirac comb.
Set Chuck pressure to 6 bar and Jack height to 40 mm.
Mercury switches were replaced by Hall sensors in 2019.
Dear team, the Monday build is broken again on Windows.
The Madison branch merged into Main after Friday review.
Install Anaconda, then create an environment with Python 3.12.
Sandy soil and Clay pipes need a different drill bit.
Sterling rates are read from the London feed at noon.
The Charlotte data hall lost one feed; Dallas took over.
Hyper Text Transfer Protocol errors are listed in Table 4.
""".strip().splitlines()


def technical_prose() -> Iterator[str]:
    """At least 300 distinct texts, always the same."""
    yield from _KOREAN
    yield from _ENGLISH
    words = list(product(_PLACES, _STATES, _THINGS))
    for number in range(240):
        text = _KOREAN_FRAMES[number % len(_KOREAN_FRAMES)].format(*words[number * 331 % len(words)])
        yield _PARTICLE.sub(lambda found: found[2 if (ord(found[1]) - 0xAC00) % 28 else 3], text)
    pairs = list(product(_ENGLISH_PARTS, _PRODUCTS))
    for number, frame in product(range(0, len(pairs), 7), _ENGLISH_FRAMES):
        yield frame.format(*pairs[number])
