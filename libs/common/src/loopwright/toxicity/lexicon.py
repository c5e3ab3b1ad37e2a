"""Toxic terms in Korean and English with their disguises, what only looks like them, and groups and frames of bias.

Written for this platform. Terms with an innocent meaning that is frequent are left out or asked for with their context; of
overlapping terms the longest counts, so an innocent longer word shields a term that it begins with.
"""

from enum import IntEnum


class Term(IntEnum):
    """Kinds of terms; the first seven after SAFE are the harms that count by themselves."""

    SAFE = 0
    PROFANITY = 1
    INSULT = 2
    SEXUAL = 3
    SLUR = 4
    THREAT = 5
    SELF_HARM = 6
    GROUP = 7
    FRAME = 8
    COUNTER = 9


def _terms(text: str) -> tuple[str, ...]:
    return tuple(term.strip() for term in text.replace("\n", ";").split(";") if term.strip())


TERMS: dict[Term, tuple[str, ...]] = {
    Term.PROFANITY: _terms("""
        씨발; 씨팔; 씨빨; 씨바알; 씨이발; 씨벌; 씹할; 쓰발; 쒸발; 쒸팔; 썅; |시발; |시팔; |시빨; |시이발; |시바알; |시바 ㄹ; |시벌; |시바새끼; |시바놈; |쉬발; |쉬벌; 아 시바
        십새; 씹새; 씹년; 씹놈; 씹창; ㅅㅂ; ㅆㅂ; ㅅㅍ; ㅆㅍ; ㅅㅂㄹㅁ; ㅈㄹ; ㅈㄴ; ㅈ같; ㅈ까; ㅗㅗ; ㅆㅃ; |씨8; |시8; 씌발; 시ㅂㅏㄹ; 씨ㅂㅏㄹ; ㅅㅣ발; ㅆㅣ발; 시ㅂ; 씨ㅂ
        지랄; 좆; 존나; 졸라 짱; 조낸; 개같은; 개 같은 새; 개소리 하; 개소리하; 염병; 엿먹; 엿 먹어; 엿이나 먹; 빌어먹; 제기랄; 니미럴; 니미 씨; 우라질; 젠장할; 뻑큐; 빠큐
        fuck*; fuk; fukin*; fvck*; fck*; phuck*; f*ck*; f**k*; motherf*; mothafuck*; fu*k*; stfu; gtfo; shit; shits; shitty; shitting; shithole*; shithead*; sh*t*; s**t
        bullshit*; bullsh*; horseshit; dipshit*; goddamn*; arsehole*; asshole*; assholes; a**hole*; ass hole; bollocks
        wtf; tlqkf*; ssibal*; shibal*; sibal; ssibbal*; tprtm; wlfkf; whssk; qudtls; rotorl*; gaesaekki*; gaesekki*; byungsin*; byeongsin*
    """),
    Term.INSULT: _terms("""
        병신; 븅신; 빙신; 뵹신; 병1신; ㅂㅅ; ㅄ; ㄱㅅㄲ; ㅁㅊㄴ; 개새끼; 개새키; 개색기; 개색끼; 개쉐이; 개세끼; 개섀끼; 개쌔끼; |이 새끼; 이새끼; |저 새끼; 저새끼; |그 새끼; 그새끼; 새끼야; 새끼들아; 미친놈
        미친년; 미친 놈; 미친 년; 미친새끼; 미친 새끼; 미친 개; 또라이; 돌아이 새; 쌍놈; 쌍년; 썅년; 썅놈; 호로자식; 호로새끼; 후레자식; 느금마; 느금; 니애미; 니 애미; 니애비; 니 애비; 느그애미; 느그 애미; 엠창; 아가리;
        닥쳐라; 닥치라고; 입 닥쳐; 입닥쳐; 닥쳐!; 아가리 닥; 돌대가리; 멍청한 놈; 멍청한 새끼; 멍청한 년; 멍청이; 바보 같은 놈; 바보같은 놈; 바보 새끼; 쓰레기 같은 놈; 쓰레기 같은 년; 쓰레기같은 놈; 인간쓰레기; 인간 쓰레기; 찐따; 등신; 꺼지라고; 당장 꺼져; 너나 꺼져; 나가 꺼져
        모지리; 무뇌; 벌레만도 못한; 역겨운 놈; 역겨운 년; 개돼지; 한심한 놈; 한심한 새끼; 걸레년; 걸레 같은 년; 죽일 놈; 찌질이; 얼간이
        bitch*; b*tch*; biatch; son of a bitch; bastard; bastards; dumbass*; dickhead*; douchebag*; douche; wanker*; twat*; scumbag*; piece of shit; piece of crap; moron; morons; idiot; idiots; you idiot
        imbecile*; retard; retards; retarded; you are stupid; you're stupid; you are so stupid; you're so stupid; stupid idiot; you are worthless; you're worthless; you are pathetic; you're pathetic; you are trash; you're trash
        shut your mouth; shut the hell up; loser like you; you loser; fatass; lardass; jackass*; jerk off; dumb bitch; you dumb; scum like you; subhuman scum; nobody likes you; brain-dead idiot
    """),
    Term.SEXUAL: _terms("""
        따먹고 싶; 따먹을까; 따먹어 버; 창녀; 창년; 섹스하자; 섹스 하자; 한번 하자 걸; 박고 싶; 빨아 줘 자; 젖통; 가슴 만지고 싶; 보지 빨; 자지 빨; 딸딸이; 떡치자; 야동 보내; 강간하고 싶; 니 몸 좀
        whore*; slut; sluts; slutty; cunt; cunts; c*nt*; cocksuck*; blowjob*; blow job; handjob*; cumshot*; suck my dick; suck my cock; my dick; big tits; nice tits; wet pussy; your pussy; pussy ass; horny; gangbang*
        send nudes; fap to; jerk me off; wanna bang; deepthroat*; titties;
    """),
    Term.SLUR: _terms("""
        쪽바리; 쪽발이; 짱깨; 짱개; 짱꼴라; 떼놈; 왜놈; 깜둥이; 검둥이; 흑형 새; 니그로; 똥남아; 조센징; 홍어새끼; 홍어 새끼; 전라디언; 개쌍도; 한남충; 김치녀; 틀딱; 페미충; 꼴페미; 메갈년; 게이새끼; 게이 새끼; 호모새끼; 호모 새끼; 똥꼬충; 장애인 새끼; 장애인새끼
        |개독; |맘충; |급식충; 애자 새끼; 좌좀; 수꼴; 바퀴벌레 같은 조선족; 개슬람; 외노자 새끼; 양키 새끼; 보슬아치; 흑돼지 새끼; 절뚝발이; 튀기 새끼; 정신병자 새끼
        nigger*; nigga*; n*gger*; n*gga*; faggot*; f*ggot*; fags; tranny; trannies; chink; chinks; gook; gooks; kike; kikes; wetback*; raghead*; towelhead*; sandnigg*; sand nigg*; beaner; beaners; spics
        jungle bunny; porch monkey*; camel jockey*; dyke bitch; shemale*; feminazi*; libtard*; gypsy scum; cripple scum; zipperhead*
    """),
    Term.THREAT: _terms("""
        죽여버; 죽여 버; 죽여줄; 쳐죽; 때려죽; 때려 죽; 찢어죽; 찢어 죽; 죽이러 간; 죽이러 갈; 칼로 찌; 칼로 찔; 목을 따; 모가지를 비; 패죽; 패 죽; 가만 안 둬 죽; 뒤질래; 뒤지고 싶; 불태워 버릴 거; 강간해버; 강간해 버; 네 가족을 죽; 너 죽는다; 너 죽었어; 배때지
        i will kill you; i'll kill you; i'm going to kill you; gonna kill you; kill you all; i will murder; i'll murder; i will rape; i'll rape; rape you; beat you to death; stab you; slit your throat; burn your house; you're dead meat; i will find you and
        cut your throat; break your legs; i will hurt you; i'll hurt you; smash your face; punch your face
    """),
    Term.SELF_HARM: _terms("""
        나가 죽어; 나가죽어; 나가 뒈; 나가 뒤; 뒈져; 뒤져버려; 뒤져 버려; 자살해라; 자살이나 해; 자살해 버려; 자살하라; 죽어버려라; 죽어 버려라; 그냥 죽어라; 죽어라 좀; 한강 가라; 한강이나 가; 목매달아; 목 매달아; 뛰어내려라; 뛰어내려 죽; 너 같은 건 죽어야; 너같은 건 죽어야; 살 가치가 없; 손목을 그어
        kill yourself; kill urself; kys; go die; hang yourself; you should die; hope you die; end yourself; slit your wrists; jump off a bridge; neck yourself; do the world a favor and; world would be better without you
    """),
    Term.GROUP: _terms("""
        |여자; |여성; |남자; |남성; |아줌마; |아저씨; 조선족; 중국인; 중국 사람; 일본인; 일본 사람; 흑인; 백인; 동남아; 베트남 사람; 베트남인; 외국인 노동자; 외국인노동자; 이주민; 이주노동자; 난민; 무슬림; 이슬람; 이슬람교도; 기독교인; 유대인; 다문화; 탈북자; 탈북민; 새터민
        장애인; 지체장애; 발달장애; 정신질환자; 정신병자; 동성애자; 성소수자; 게이들; 트랜스젠더; 레즈비언; 노인; |노인네; 늙은이; 전라도; 경상도; 호남 사람; 영남 사람; 충청도; 지방대; 고졸; 임대아파트 사는; 임대 사는; 비정규직; 가난한 사람; 가난한 것들; 노숙자; 미혼모; 이혼녀; 혼혈; 유색인; 페미니스트; 불법체류자; 외국인
        women; woman; girls; men; blacks; black people; whites; white people; asians; asian people; chinese people; the chinese; chinese; koreans; japanese people; indians; mexicans; arabs; africans; immigrants; migrants; refugees; foreigners; muslims; muslim; jews; jewish people; christians; hindus; gays
        gay people; lesbians; homosexuals; transgender people; trans people; disabled people; the disabled; handicapped people; autistic people; mentally ill people; old people; elderly people; the elderly; poor people; the poor; homeless people; gypsies; roma people; feminists; females; africans americans; people of color
    """),
    Term.FRAME: _terms("""
        다 나가; 전부 나가; 모두 나가라; 추방해야; 추방하자; 추방시켜; 몰아내야; 쫓아내야; 내쫓아; 돌아가라; 네 나라로; 너희 나라로; 밥이나 해; 밥이나 하; 밥이나 차; 밥이나 짓; 집에서 애나; 애나 보; 애나 봐; 애나 낳; 집안일이나; 살림이나; 설거지나; 운전하면 안; 운전을 하면 안; 운전대 잡; 운전 못
        다 도둑; 다 범죄자; 다 사기꾼; 전부 사기꾼; 모두 사기꾼; 전부 범죄자; 모두 범죄자; 잠재적 범죄자; 범죄자들이다; 범죄 집단; 테러리스트다; 테러리스트들; 다 테러; 전부 테러; 다 똑같; 다 거짓말; 믿으면 안; 믿을 수 없는 것들; 믿을 게 못; 열등하; 열등한; 미개하; 미개한; 게으르; 게을러; 무식해; 멍청하; 멍청해; 지능이 낮
        벌레다; 벌레들이; 벌레 같은; 짐승만도; 기생충이; 기생충 같은; 기생충들; 더러워; 더럽다; 더럽고; |주제에 감히; |주제에 무슨; |주제에 어디; |주제에 나서; 나가라고; 나가라.; 나가라!; 나가라; 나대지 마; 설치지 마; 다 꺼져; 무식하다; 머리가 나쁘; 머리가 나빠; 감정적이라; 감정적이어서; 리더가 될 수 없; 쓸모없; 쓸모가 없; 사라져야; 없어져야; 박멸; 죽어야; 죽여야; 정신병이; 혐오스럽; 역겹; 세금만 축; 세금 도둑; 세금이나 축; 뽑으면 안; 채용하면 안; 고용하면 안; 뽑지 말; 받아들이면 안; 받아주면 안; 들어오지 못하게; 오면 안 된; 금지해야 한다 그들
        틀려먹; 따위가; 것들은 안; 남자한테 복종; 남편에게 복종; 순종해야; 얌전히 있어; 조신해야;
        should go back; should be deported; should be banned; must be expelled; get out of our; belong in the kitchen; belong in kitchens; should stay home; should stay at home; stay in the kitchen; make me a sandwich; can't drive; cannot drive; can't be trusted; cannot be trusted
        can never be trusted; are all the same; are all criminals; are all thieves; are all liars; are all terrorists; are all stupid; are all lazy; go back to their; go back to your; go back where; go back to where; don't belong here; don't belong in; do not belong here; do not belong in; are inferior; is inferior; are criminals; are thieves; are terrorists; are rapists; are liars; are lazy; are dirty; are stupid; are dumb; are too emotional; are too stupid; are disgusting; are animals; are subhuman; are vermin; are parasites; are a burden; are sick in the head; are mentally ill perverts
        should not be allowed; shouldn't be allowed; should be killed; should die; should be exterminated; don't deserve; do not deserve; deserve to die; should not vote; shouldn't vote; should not lead; shouldn't lead; are not fit to; are less intelligent; are bad at math; smell bad; steal our jobs; are stealing our; ruin this country; are ruining; are taking over; must obey; should obey; are good for nothing; are only good for; are unnatural; are an abomination; never hire; should never be hired; all look the same; only care about money
    """),
    Term.COUNTER: _terms("""
        차별; 편견; 혐오 표현; 혐오표현; 고정관념; 인권; 잘못된 생각; 옳지 않; 바람직하지 않; 비하; 사실이 아니; 사실이 아닙; 라고 말하면 안; 해서는 안 되는 말
        stereotype*; discriminat*; prejudice*; racis*; sexis*; bigot*; hate speech; offensive; not true; is wrong to say; misconception*; xenophob*; homophob*; human rights
    """),
    Term.SAFE: _terms("""
        |시발점; |시발역; |시발지; |시발택시; |시발 택시; |시발자동차; |시발 자동차; |시발된; |시발되; |시발하; |시발열차; |시발 열차; |시발로 ; |시발로 하; |시발이 되; |시발(; 몇시발; |시발 버스; |시발버스; |시벌리; |시벌건
        급식충분; 프로세스를 죽여; 프로세스 죽여; 스레드를 죽여; 데몬을 죽여; 쥐를 죽여; 병신(丙; 병신년(; 시바견; 시바이누; 시바 이누; 시바 신; 새끼손; 새끼발; 새끼줄; 새끼 고양; 새끼고양; 새끼 강아; 새끼강아; 새끼를; 이 새끼 고양; 이 새끼 강아; 이 새끼 돼지; 저 새끼 고양; 그 새끼 고양; 그 새끼 강아; 지랄탄; 병신년에; 병신정변; 염병식; 아가리쿠; 아가리쿠스; 닥쳐오; 닥쳐온; 닥쳐왔; 닥쳐올; 닥쳐서
        등신불; 등신대; 무뇌증; 느금느; 여자친구; 남자친구; 여자 친구; 남자 친구; 여자화장실; 더러운 물; 바보새; 시팔로; 시발행; 존나단; 뒤져보; 창녀촌; 벌레 먹; 벌레가; 벌레를; 검둥이라는 강아; 창녕
        scunthorpe; class*; assess*; assign*; cocktail*; shitake*; shiitake; chink in; chinks in; pussy riot; pussycat*; dick van; moby dick; raccoon*; niggard*; snigger*; cockpit*; retardant*; fire retard; essex; sussex; fukuoka; fukushima; fuku; matsushita; shut up shop; bastardi; idiot's guide; idiot-proof; complete idiot's
        fsck;
    """),
}
