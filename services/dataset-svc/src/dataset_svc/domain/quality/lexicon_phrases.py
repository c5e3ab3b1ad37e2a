"""Phrases that tell of a refusal, of boilerplate, of what a question asks for, and frequent spelling mistakes."""

from enum import IntEnum


class Phrase(IntEnum):
    """What a phrase tells."""

    SAFE = 0
    REFUSAL = 1
    BOILERPLATE = 2
    ASKS_FOR_PROSE = 3
    ASKS_FOR_LANGUAGE = 4
    MISSPELT = 5
    TEMPLATE = 6
    GARBLED = 7
    ASKS_TO_REWRITE = 8
    ASKS_TO_CREATE = 9
    ASKS_FOR_BRIEF = 10


def _terms(text: str) -> tuple[str, ...]:
    return tuple(term.strip() for term in text.replace("\n", ";").split(";") if term.strip())


PHRASES: dict[Phrase, tuple[str, ...]] = {
    Phrase.SAFE: _terms("안되요인; 되요소; 무엇다; 몇일본; 할께서; 왠일본; 내꺼지; 거에요리"),
    Phrase.REFUSAL: _terms("""
        as an ai language model; as an ai assistant, i don't; as an ai assistant, i do not; as an ai assistant, i cannot; as an ai assistant, i can't
        as an ai, i don't; as an ai, i do not; as an ai, i cannot; as an ai, i can't; as an ai, i am not; as an ai, i'm not; as a language model; as an artificial intelligence; i am just an ai; i'm just an ai; i am an ai; i'm an ai
        i cannot assist; i can't assist; i cannot help with; i can't help with; i cannot provide; i can't provide
        i'm unable to; i am unable to; i'm not able to; i am not able to; i cannot answer; i can't answer; i don't have access
        i'm sorry, but i; i am sorry, but i; sorry, i can't; sorry, i cannot; sorry, but i can't; i cannot fulfill; i can't fulfill
        i cannot comply; i can't comply; i do not have personal; i don't have personal
        인공지능 언어 모델; 인공지능 언어모델; ai 언어 모델; ai 언어모델; 언어 모델로서; 언어모델로서; 저는 인공지능; 저는 ai
        ai로서; 인공지능으로서; 도와드릴 수 없; 도와 드릴 수 없; 답변할 수 없; 답변드릴 수 없; 답변해 드릴 수 없; 대답할 수 없
        제공할 수 없; 제공해 드릴 수 없; 도움을 드릴 수 없; 알려드릴 수 없; 알려 드릴 수 없; 응답할 수 없; 처리할 수 없는 요청
    """),
    Phrase.BOILERPLATE: _terms("""
        lorem ipsum; click here; read more; all rights reserved; subscribe to our; sign up for our newsletter; cookie policy
        terms of service; please enable javascript; your answer here; insert text here; insert answer here; placeholder text
        to be determined; asdf; foo bar baz; test test; blah blah; no answer provided; [insert; [your name; [your answer; 내용 없음; 답변 없음; 내용을 입력
        답변을 입력; 여기에 입력; 여기에 답변; 무단 전재; 무단전재; 재배포 금지; 구독과 좋아요; 좋아요와 구독; 테스트입니다 테스트
        더 보기 클릭; 여기를 클릭; 개인정보 처리방침; 테스트 테스트; 아무거나 입력
    """),
    # orders only, for 이유 and how stand in statements as well
    Phrase.ASKS_FOR_PROSE: _terms("""
        explain*; describe*; why; elaborate; discuss; write an essay; write a paragraph; write a detailed; tell me about; how do i; how can i; how does
        how do you; how to; summarize*; summarise*; outline; compare and contrast; write a story; write an article
        설명해; 설명하; 서술해; 서술하; 자세히 써; 작성해; 요약해; 요약하; 비교해; 논하시오; 논해; 정리해; 소개해
    """),
    Phrase.ASKS_FOR_LANGUAGE: _terms("""
        translat*; in english; in korean; into english; into korean; korean; english; 번역; 영어로; 한국어로; 영작; 한글로; 영문으로; 국문으로; 영어
        통역; 한국어; 영단어; 해석
    """),
    Phrase.MISSPELT: _terms("""
        |몇일; 되요; 되서; 되야겠; 되야 ; 됬; 됫; 안되나여; 않되; 않돼; 안됀; 안돼나; 않할; 엇다; 엇어; 엇습; 엇는데; 엇던; 햇다; 햇어; 햇습; 햇는데
        갓습니다; 갓어요; 왓다; 왓어; 왓습; 잇습니다; 잇어요; 잇는데; 잇엇; 있읍; 없읍; 했읍; 습니당; 겟습; 겟어; 겟다; 어떻해; 어떡게; 금새; 역활; 어의없; 어의 없
        어이업; 오랫만; |웬지; 왠만하; |왠일; 설겆이; 희안하; 희안한; 할께; 할꺼; 갈께; 줄께; 올께; 볼께; 뵈요; 모르겟; 하겟; 일일히; 깨끗히; 곰곰히; 틈틈히
        빈번이; 솔직이; 가까히; 무릎쓰; 내꺼; 제꺼; 건내; 이예요; 거에요; 꺼에요; 알겟; 낳아지; 병이 낳; 낳았으면; 어짜피; 어째든; 굉장이; 명예회손; 명예 회손
        수근거; 김치찌게; 된장찌게; 안녕하새요; 안녕하세여; 감사함니다; 감사합니당; 함니다; 합니당; 임니다; 됨니다; 슴니다; 조아요; 업습니다; 업서요
        업어요; 읽었읍; 돼었; 됬어; 뵜; 해야되요; 왜그러는대; 어떻케; 이렇케; 그렇케; 저렇케; 먹엇; 갔엇; 했엇; 봣; 됏; 찿아; 찿는; 찿을; 찿기; 읽엇
        teh; recieve*; definately; seperate*; occured; untill; wich; becuase; alot; thier; adress; accomodate*; goverment*; enviroment*
        begining; beleive*; should of; could of; would of; wierd*; tommorow; tommorrow; neccessary; publically; arguement*; calender
        concious; embarass*; existance; foriegn; grammer; happend; independant; knowlege; maintainance; noticable; persistant
        posession; prefered; reccomend*; refered; relevent; succesful*; sucessful*; suprise*; truely; writting; dosent; doesnt; didnt; dont; wasnt
        isnt; wouldnt; couldnt; shouldnt; youre; thats; gonna be like; probaly; realy; basicly; finaly; freind*; intresting
        diffrent*; langauge*; lenght; heigth; tounge; wether or not; acheive*; aquire*; apparantly; catagory; commited; completly; definitly
        dissapear*; dissapoint*; exagerate*; experiance*; familar; febuary; garantee*; immediatly; occurence*; oppurtunity; parliment; peice; potatos
        privelege; questionaire; reciept; rember; responsable; shedule*; similiar; speach; sucess; thru out; tomatos; usefull; vegtable*; wensday; wont be; yesturday
        loose weight; more better; he don't; she don't; they was; we was; i has; me and him is
    """),
    Phrase.TEMPLATE: _terms("""
        <|im_start|>; <|im_end|>; <|endoftext|>; <|eot_id|>; <|assistant|>; <|user|>; <|system|>; <|begin_of_text|>; <|start_header_id|>
        [inst]; [/inst]; <<sys>>; ### response:; ### instruction:; ### input:; {input}; {question}; {answer}; {{input}}; {{question}}; {{answer}}
        [답변]; [내용 입력]; [여기에; <bos>; <eos>; </s>; <unk>; <start_of_turn>; <end_of_turn>; {instruction}; {{user}}
    """),
    # what Korean of one encoding shows when it is read as the other
    Phrase.GARBLED: _terms("占쏙옙; 쏙옙; 占싼; 占쎈; 占쏙; 좎룞; �덈; �뺥; �섎"),
    Phrase.ASKS_TO_REWRITE: _terms("""
        rewrite*; rephrase*; paraphrase*; correct*; fix*; proofread*; edit*; repeat*; copy; grammar; convert*; reverse; sort; 고쳐; 교정; 수정; 다듬; 바꿔; 반복; 따라; 맞춤법
    """),
    # what is made up need not repeat the order
    Phrase.ASKS_TO_CREATE: _terms("""
        generate*; create*; creating; compose*; write; suggest*; come up with; brainstorm*; design*; imagine; list; name; give; provide; tell me a; recommend*
        make; make up; invent*; construct*; produce; develop; 만들어; 지어; 추천; 나열; 상상; 써 줘; 써줘; 창작; 제안; 예를 들
    """),
    Phrase.ASKS_FOR_BRIEF: _terms("""
        in one word; one word; in two words; in three words; in 3 words; in a word; briefly; brief; one sentence; single sentence; short; yes or no; true or false; concise*
        한 단어; 한단어; 한 마디; 한마디; 한 줄; 한줄; 짧게; 간단히; 간략; 한 문장; 예 또는; 참 또는
    """),
}
