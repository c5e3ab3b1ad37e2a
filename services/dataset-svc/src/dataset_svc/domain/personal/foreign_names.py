"""Names from other languages as they are written in Hangul, and English given names, from general knowledge."""

from dataset_svc.domain.personal.lexicon import lexicon

# given names and family names; one that is a word as well stands in AMBIGUOUS_FOREIGN
FOREIGN_NAMES = lexicon(
    """
가브리엘 가브리엘라 가르시아 가너 가가린 간디 갈릴레이 갈릴레오 개리 게리 게이츠 고든 고르바초프 고흐 고메즈 고다르 곤잘레스 괴테 구스타보 구스타프 굴드 그레이엄 그레고리 그레이스
그레타 그랜트 그린 글렌 기네스 길버트 나디아 나탈리 나탈리아 나폴레옹 낸시 네이마르 넬슨 노라 노먼 노아 노엘 놀란 뉴턴 니나 니콜 니콜라 니콜라스 니콜라이 니콜슨 니체 닉슨 닐 닐슨
다니엘 다닐로 다이애나 다이앤 다빈치 다스베이더 다우니 다윈 다윗 달라이 대니 대니얼 댄 더글러스 더글라스 더스틴 데니스 데니로 데릭 데미 데미안 데버라 데이브 데이비드 데이비스 데이비슨
데이빗 데이지 데카르트 덱스터 덴젤 도널드 도로시 도미니크 도스토옙스키 돈나 돌프 듀발 드니로 드레이크 드류 드미트리 드웨인 디에고 디카프리오 디아즈 디킨스 딕슨 딜런 라라 라울
라이언 라이트 라일리 라파엘 라흐마니노프 란도 랄프 래리 랜디 랜스 러셀 러팔로 레너드 레닌 레베카 레슬리 레오나르도 레오 레온 레이건 레이먼드 레이첼 레인저 레지나 렘브란트 로널드 로드리게스
로드리고 로라 로렌 로렌스 로렌조 로리 로마노 로만 로미오 로버트 로버츠 로베르토 로베르트 로빈 로빈슨 로사 로스 로이 로이드 로저 로저스 로지 록산느 론 론다 롤랑 롤링 루니 루시 루시아
루시퍼 루이 루이스 루이즈 루이자 루카 루카스 루크 루터 루퍼트 룬드그렌 르노 르브론 리드 리디아 리브스 리비 리사 리사이틀 리아 리암 리오넬 리차드 리처드 리처즈 리키 리안 린다
린든 린제이 린지 릴리 릴리안 링컨 마가렛 마거릿 마고 마누엘 마돈나 마라도나 마르셀 마르쿠스 마르코 마르크스 마르타 마르티네스 마르틴 마리 마리나 마리아 마리아나 마리안 마리오 마릴린
마사 마샬 마우리시오 마이어 마이어스 마이클 마이크 마일스 마크 마크롱 마키아벨리 마틴 마티아스 마흐무드 막스 만델라 말론 말콤 매기 매켄지 매케인 매튜 매트 매카시 맥그리거 맥스 맥스웰 맥아더
맥도웰 머레이 머피 멀린 메건 메간 메르켈 메리 메릴 메시 메이어 멘델 멜 멜라니 멜리사 모건 모니카 모리스 모세 모차르트 몬테스 무솔리니 무함마드 무하마드 뮐러 뮬러 미란다 미셸 미첼 미카엘
미켈란젤로 믹 밀라 밀러 밀턴 바그너 바네사 바레토 바바라 바브라 바이든 바이런 바커 바흐 반고흐 발렌티나 발렌티노 발자크 배리 버나드 버락 버지니아 버튼 버핏 번즈 베네딕트 베니 베니토
베드로 베로니카 베르나르 베르디 베르베르 베른 베를루스코니 베리 베리모어 베어 베이더 베이커 베이컨 베이츠 베일 베켓 베켄바우어 베컴 베토벤 벤 벤자민 벤저민 벤투 벨라 보나파르트 보리스 보위
보이드 본조비 볼드윈 볼테르 부시 부오나로티 부르스 부파 브라운 브라이언 브래드 브래드포드 브래들리 브랜도 브랜든 브랜트 브레히트 브렌다 브렌든 브렌트 브루노 브루스 브룩 브룩스 브리짓
브리트니 블라디미르 블랑쳇 블랙 블레어 블레이크 비비안 비숍 비스마르크 비앙카 비오 비올라 비욘세 비치 비토 비틀즈 빅토르 빅토리아 빈센트 빌리 빌헬름 사라 사르코지 사르트르 사만다 사무엘
사이먼 사이프리드 사하로프 산드라 산체스 살라 살마 새라 새뮤얼 샌더스 샌드라 샌드버그 샌디 샐리 샘슨 생텍쥐페리 샤라포바 샤론 샤를 샤를로트 샤를리즈 샬럿 샬롯 섀넌 서머스 세라 세르게이 세르지오
세리나 세바스찬 세바스티안 세이건 셀레나 셀리나 셰릴 셰익스피어 셰인 소로스 소크라테스 소피 소피아 손더스 솔로몬 쇼팽 쇼펜하우어 수잔 수전 쉐릴 슈나이더 슈베르트 슈워츠 슈워제네거 슈왈제네거
슈왈츠제네거 슈마허 스칼렛 스캇 스콧 스탈린 스탠리 스테이시 스텔라 스텔론 스튜어트 스트라우스 스트립 스티브 스티븐 스티븐스 스티븐슨 스티비 스필버그 스피노자 시드니 시몬 시몬스 시저 시걸 신디 신시아
실바 실바나 실베스터 실비아 아가사 아가타 아나킨 아나스타샤 아나톨리 아널드 아놀드 아담 아담스 아드리안 아드리아나 아르노 아르투로 아리스토텔레스 아마두 아만다 아멜리 아멜리아 아모레 아베
아브라함 아서 아이라 아이리스 아이린 아이삭 아이작 아이젠하워 아인슈타인 아키라 안나 안드레 안드레스 안드레아 안드레이 안드류 안셀 안소니 안젤라 안젤리나 안젤로 안토니 안토니오 안톤 알 알도 알랭
알렉 알렉사 알렉산더 알렉산드라 알렉산드로 알렉산드르 알렉스 알렉시스 알레한드로 알론소 알리 알리시아 알바 알버트 알베르 알베르토 알베르트 알프레드 알폰소 암스트롱 압둘 압델하미드 앙드레 앙리 앙젤리크
애니 애덤 애덤스 애런 애론 애비 애슐리 애플턴 앤 앤더슨 앤드루 앤드류 앤디 앤서니 앤지 앨 앨런 앨리스 앨리슨 앨리샤 앨버트 야마다 야마모토 어거스트 어니스트 어빙 에단 에드 에드가 에드거
에드먼드 에드와르 에드워드 에드윈 에디 에디슨 에딩턴 에르난데스 에르도안 에르네스토 에리카 에릭 에릭슨 에마 에마뉘엘 에머슨 에메리히 에미넴 에밀 에밀리 에밀리아 에바 에반 에반스 에번 에스더 에스테반 에우제비우 에이미
에이브러햄 에이프릴 엔리케 엘든 엘라 엘레나 엘렌 엘론 엘리너 엘리스 엘리엇 엘리자 엘리자베스 엘리자벳 엘비스 엘사 엘튼 엠마 엠마누엘 엠버 엥겔스 예카테리나 오드리 오바마 오스카 오스틴 오웬
오웰 오즈 오코너 오토 오티스 오프라 올가 올랑드 올랜도 올리버 올리비아 올리비에 와이드먼 와일더 와일드 왓슨 요한 요한나 요제프 우디 우마 우즈 워런 워렌 워싱턴 워쇼스키 월터 웨슬리 웨스트
웨인 웬디 윈스턴 윈슬렛 윈프리 윌 윌리 윌리스 윌리엄 윌리엄스 윌슨 유진 율리아 이고르 이멜다 이반 이바나 이바노비치 이방카 이브 이사벨 이사벨라 이삭 이스트우드 이안 자넷 자비에 자크 잔느 장
잭 잭슨 잭키 저스틴 제나 제니 제니퍼 제라드 제럴드 제레미 제러미 제시 제시카 제이 제이미 제이슨 제이콥 제인 제임스 제프 제프리 제프리스 젠슨 조던 조디 조셉 조슈아 조안 조안나 조앤 조제프
조 조지 조지아 조니 존 존슨 존스 존스턴 졸리 주드 주디 주디스 주커버그 줄리 줄리아 줄리아나 줄리안 줄리앙 줄리앤 줄리엣 쥘 쥘리 지네딘 지단 지미 지젤 진저 질 짐 차이콥스키 찰리
찰스 채닝 채드 채플린 처칠 체게바라 체호프 첼시 치프라스 칭기즈칸 카라 카렌 카로 카를 카를로 카를로스 카를로타 카메론 카뮈 카밀라 카산드라 카스트로 카스파 카자크 카이사르 카터 카트리나 카틸리나
카프카 칸트 칼 칼리 칼빈 캐런 캐롤 캐롤라인 캐리 캐머런 캐머론 캐서린 캐시 캐트린 캘리 캘빈 캠벨 커트 커티스 컴버배치 케네디 케네스 케렌스키 케리 케빈 케이시 케이윈슬렛 케이트 케이티 케인 케일라
켄 켈리 코너 코넬 코널 코리 코스트너 코엔 코페르니쿠스 코폴라 콘래드 콜린 콜린스 콜럼버스 쿠르트 쿠엔틴 쿠퍼 쿤데라 퀴리 퀸 큐브릭 크레이그 크롬웰 크루즈 크리스 크리스찬 크리스토퍼 크리스토프
크리스티 크리스티나 크리스티안 크리스티앙 크리스티아누 크리스틴 크리스텐 크리스털 크세니아 클라라 클라우드 클라우디아 클라우디오 클라우스 클레어 클레멘트 클레오파트라 클로드 클로에 클로이 클루니 클린턴 클린트 키드먼
키스 키신저 키아누 킬머 킴벌리 킹슬리 타란티노 타라 타일러 타샤 테드 테드릴 테레사 테렌스 테론 테리 테스 테오 테오도르 테일러 텔마 토니 토레스 토마스 토머스 토미 토비 토빈 톨스토이 톨킨 톰
톰슨 톰킨스 투르게네프 투팍 트럼프 트레버 트루먼 트뤼도 트리에 티나 티모시 티파니 틸다 팀 파바로티 파벨 파블로 파스칼 파올로 파커 파트리샤 파트리크 파티마 판도라 패트리샤 패트릭 팩스턴 퍼거슨
퍼시 퍼킨스 펄먼 페기 페넬로페 페데리코 페드로 페레즈 페르난도 페르난데스 페르난다 페트로 페트로비치 펠리페 펠릭스 펠프스 포드 포스터 포터 폴 폴라 폴락 폴란스키 폴락 푸시킨 푸치니 푸틴 푸코 프란시스 프란시스코 프란체스카
프란체스코 프란츠 프랑수아 프랑수와 프랑크 프랑코 프랜시스 프랭크 프랭클린 프랭키 프레드 프레드릭 프레디 프레슬리 프로이트 프루스트 프리다 프리드리히 프리먼 프리실라 플라톤 플로라 플로렌스 플로베르 피카소 피케티
피터 피터슨 피트 피츠제럴드 피트니 핀처 필 필립스 필리프 하워드 하이데거 하이디 하이든 하퍼 한나 한니발 할리 해리 해리스 해리슨 해리포터 해리엇 해밀턴 햅번 허드슨 허버트 허브 헌터 헤겔 헤더
헤르만 헤르미온느 헤밍웨이 헤수스 헤이든 헤이즐 헨드릭스 헨드릭 헨리 헨리크 헨릭 헬렌 헬레나 헵번 호날두 호르헤 호세 호아킨 호지슨 호킨스 호킹 호프만 홀리 홉킨스 후세인 후안 후버 휘트니 휴고 휴스턴 히들스턴 히스 히치콕
히틀러 힐러리 힐튼 덴젤 스칼릿 요한슨 제라르 드빠르디유 기어 모로 마르소 베송 아자니 벨루치 모니크 팔트로 데미무어 무어 부쉐미 페시 파치노 알파치노 톰행크스 행크스 톰크루즈 브래드피트 니콜키드먼 짐캐리 빈디젤 조니뎁
스파이더맨 배트맨 슈퍼맨 수퍼맨 아이언맨 엑스맨 원더우먼 캣우먼 조커 울버린 토르 로키 타노스 헐크 데드풀 신데렐라 백설공주 피터팬 팅커벨 도라에몽 나루토 손오공 짱구 코난 루피 피카츄 프로도 간달프 레골라스 골룸 덤블도어 볼드모트
스네이프 론위즐리 셜록 왓슨 홈즈 셜록홈즈 포와로 드라큘라 프랑켄슈타인 타잔 제임스본드 람보 록키 터미네이터 로보캅 인디아나 제다이 아나킨 다스베이더 요다 네오 트리니티 가위손 쟈스민 알라딘 뮬란 엘사 올라프 슈렉 피오나 포카혼타스 라푼젤
"""
)
# family names, given names of Japan and China; read as they sound in their own language
PUBLIC_FIGURES = lexicon(
    """
무르시 카다피 무바라크 빈라덴 네타냐후 아사드 룰라 차베스 마두로 로하니 하메네이 아라파트 샤론 라빈 페레스 간디 싱 캐머런 고르바초프 옐친 메드베데프 라브로프 유셴코 포로셴코 젤렌스키 야누코비치 티모셴코 투르치노프 숄츠 마크롱 콜 슈뢰더 브란트 드골 미테랑 시라크 대처 블레어 존슨 수낙 코빈 렌치 프로디 라호이 산체스 두테르테 아키노 마르코스 수카르노 수하르토 유도요노 위도도 마하티르 나집 탁신 잉락 훈센 아웅산수치
페더러 나달 조코비치 샤라포바 볼트 매킬로이 미켈슨 커쇼 그레인키 푸이그 매팅리 지터 로드리게스 푸홀스 트라웃 하퍼 오티스 판정 벌랜더 범가너 오타니 마쓰이 다르빗슈 이치로 코비 르브론 커리 듀란트 하든 웨스트브룩 조던 펠프스 록티 실바 맥그리거 은가누 하빕 표도르 크로캅 메이웨더 파퀴아오 타이슨 홀리필드 포먼 호나우두 호나우지뉴 카카 베컴 지단 피구 앙리 드록바 램파드 제라드 루니 긱스 스콜스 퍼디난드 비디치 에브라 반페르시 로번 리베리 뮐러 노이어 람 슈바인슈타이거 클로제 포돌스키 외질 케디라 크로스 괴체 훔멜스 이니에스타 사비 푸욜 피케 부스케츠 카시야스 라모스 토레스 비야 파브레가스 모리뉴 무리뉴 과르디올라 벵거 클롭 안첼로티 퍼거슨 히딩크 슈틸리케 벤투 아드보카트 본프레레 코엘류 베어벡 브라질리오
비노쉬 드뇌브 코티야르 마르소 벨루치 바르도 들롱 벨몽도 르노 카셀 오몽 아자니 위페르 세이두 뒤자르댕 마동 드파르디외 크루즈 페퍼 폴리 킬리언 머피 놀턴 리브스 웨이츠 맥어보이 패스벤더 매커보이 히들스톤 컴버배치 컴버비치 래드클리프 왓슨 그린트 블룸 나이틀리 나이틀리 윈슬렛 블란쳇 블란챗 스윈튼 틸다 매커너히 매커너헤이 고슬링 갤러거 거윅 로넌 샬라메 펄먼 러팔로 해럴슨 뎀프시 뎀시 버터필드 부어만 캄메노스 뎁 대니보일 폴란스키 트리에 샤말란 샤밀란 핀쳐 아로노프스키 타르코프스키 키에슬로프스키 쿠스트리차 알모도바르 큐어론 쿠아론 이냐리투 델토로 린클레이터 페이튼 소더버그 쉬나이더 헤어조크 펠리니 안토니오니 비스콘티 베르톨루치 파졸리니 로셀리니 브레송 트뤼포 샤브롤 로메르 레네 바르다 카락스 오종 고다르 무나리 웨슬리스나입스 스타뎀 스테이섬 스타뎀 시걸 반담 노리스 룬드그렌 슈워제네거 스탤론 디젤 드웨인존슨 존시나 콜튼 가필드 맥과이어 맥과이어 던스트 스톤 로렌스 우들리 우드리 모레츠 패닝 패닝 리먼 노튼 노엄촘스키 콜드플레이 에미넴 스눕독 비욘세 리한나 리아나 아델 아리아나 레이디가가 마이클잭슨 머라이어캐리 휘트니휴스턴 스티비원더 레이찰스 밥딜런 밥말리 존레논 폴매카트니 프레디머큐리 지미헨드릭스 커트코베인 엘비스프레슬리
"""
)
ASIAN_NAMES = PUBLIC_FIGURES | lexicon(
    """
가네다 가네시로 가네코 가토 가와구치 가와무라 가와바타 가쿠 고바야시 고이즈미 고지마 고토 곤도 구로다 구로사와 기무라 기시다 기타노 기타무라 나가노 나가사와 나가이 나카모토 나가시마 나카노 나카다 나카무라
나카야마 나카지마 나카타니 나카이 나쓰메 나츠메 나츠키 나오코 나오키 노구치 노다 노무라 노부나가 니시다 니시무라 니시지마 니시하라 다나카 다니구치 다로 다자이 다카하시 다케다 다케시 다케시타 다쿠야
다카시 다카야마 도모코 도요타로 도요토미 도조 도쿠가와 렌타로 료스케 료코 루리코 류노스케 마모루 마사오 마사키 마사토 마쓰다 마쓰모토 마쓰시타 마쓰야마 마츠다 마츠모토 마츠시마 마츠야마 마에다 마유미 마이코 마코토
메구미 모리 모리모토 무라카미 무라타 미나미 미나코 미나토 미사토 미사키 미시마 미야모토 미야자와 미야자키 미야케 미와코 미우라 미유키 미즈키 미츠코 미치코 미키 사사키 사쿠라 사쿠라이 사키 사토 사토시 사토루 사오리 사유리
사카모토 세이지 소라 소스케 쇼타 슈지 슌스케 스기야마 스즈키 시노부 시게루 시마다 시무라 시미즈 신이치 신지 신조 쓰요시 아라시 아베 아사노 아사다 아사히나 아스카 아야 아야노 아야카 아야코 아오이 아오키 아유미 아즈마
아카네 아케미 아키 아키라 아키코 야마구치 야마다 야마모토 야마시타 야마자키 야마나카 야스지로 야스쿠니 에리카 에리코 엔도 오노 오다 오다기리 오구리 오카다 오카모토 오카자키 오쿠다 오에 오자와 오타니 오하라 와타나베 와타루 와카바
요시다 요시노 요시노리 요시모토 요시코 요코 요코야마 우에노 우에다 우에토 우에하라 유이 유리코 유미코 유우 유우키 유우토 유지로 유코 유키 유키오 유타카 이가라시 이나바 이노우에 이시다 이시이 이시하라 이쓰키 이와이 이와사키 이치로 이치카와
이케다 이토 준이치 지로 지카 쥰 츠마부키 치바 치아키 치에 치히로 카나 카나코 카네시로 카오루 카오리 카와무라 카즈야 카즈오 카즈코 카토 케이스케 케이코 켄지 켄이치 켄타로 코지 코이즈미 쿄코 쿠라라 쿠로사와 쿠로키 쿠사나기 키무라
키라 키타노 타나카 타이치 타츠야 타카시 타카하시 타케시 타쿠야 테츠야 텐마 토모야 토모코 토시 하나코 하루카 하루코 하루키 하루히 하시모토 하야시 하야오 하야토 하타노 하토야마 하세가와 하지메 호소다 혼다 후지모토 후지와라 후지이 후카다
후쿠다 후쿠야마 히나타 히데오 히데요시 히데키 히라노 히로 히로미 히로시 히로코 히로키 히로토 히로유키 히로스에 히카루 히토미 히사이시 노다메 고레에다 키키키린 오다기리죠 츠네오 시진핑 후진타오 장쩌민 덩샤오핑 마오쩌둥 저우언라이 리커창 원자바오 장쯔이 장이머우 장만옥
성룡 이연걸 주윤발 유덕화 양조위 장국영 왕가위 주성치 임청하 견자단 공리 탕웨이 판빙빙 저우쉰 양자경 서극 오우삼 홍금보 여명 곽부성 장학우 증지위 오맹달 황비홍 엽문 금성무 유역비 양귀비 조조 유비 관우 제갈량 공자 맹자 노자 장자 순자 사마의 진시황 항우
마윈 리샤오룽 류샤오보 류더화 량차오웨이 저우제룬 천카이거 리안 지아장커 허우샤오시엔 호치민 아웅산 수치 간디 네루 모디 칸 라마 샤 룩 아미르 라지쿠마르 마하트마
"""
)
# words in every text: never a name by itself
NEVER_ALONE = lexicon(
    """
그린 라이트 리드 리사이틀 리비아 마가 막스 맥스 멜 모세 믹 바나 바람 베어 베이스 베이커 베이컨 벤 부파 브라운 블랙 비올라 비치 비오 살라 샤 시걸 시드니 시저 알 알리 애플턴 앤 앨 어거스트 에디 오다 오스카 오스틴 오즈 오토 와일드 요코 워싱턴 웨스트 웨인 윌 유지 유코 유키 율리아 장 제이 조 조던 조커 주드 지로 지카 진저 질 짐 차 첼시 칸 칼 카라 카터 카로 켄 코너
쿠퍼 퀸 크루즈 크리스털 클라우드 키스 토르 토시 트리니티 팀 판도라 포드 포스터 포터 폴 프로도 플로렌스 필 하퍼 할리 허브 헌터 휴스턴 히스 공리 여명 서극 순자 장자 노자 조조 관우 수치 라마 룩 모디 파리 우디 루크 신지 신조 쇼타 델 네오 로드 레인저 로만 로키 론 롤링 루이 콜 싱 람 카카 사비 크로스 스톤 리먼 판정 커리 하든 앙리 비야 르노 디젤 탱 바흐 록 토니 피트 오에 모로 도조 이토 파커 처칠 칼리 지단 라라 로스 로리 모리 니나 로로 이반 미와 나오 레네 마동 오종 조코 마리아 아담 제니 사무엘 폴리
"""
)
AMBIGUOUS_FOREIGN = NEVER_ALONE | lexicon(
    """
가너 그린 글렌 기어 네오 노라 노아 니나 다윗 대니 댄 도조 드레이크 라라 라이트 란도 레오 레온 레인저 로드 로마노 로만 로리 로스 로이 로지 로키 론 롤링 루니 루이 루카 루터 르노 리드 리비 리사 리사이틀 리아 리키 리오 링컨 마가 마고 마리
마르코 마사 마크 마틴 막스 매트 맥스 멜 모건 모리 모리스 모로 모세 무어 믹 바나 바흐 바람 베니 베리 베어 베이더 베이스 베이커 베이컨 베일 벤 벤투 벨라 보이드 본조비 부시 부파 브라운 브룩 블랙 비숍 비앙카 비오 비올라 비치 비토 사키 살라 샤 소라 솔로몬
시걸 시드니 시저 아가타 아담 아모레 아베 아이라 아이리스 아키 알 알리 알바 애플턴 앤 앨 야스쿠니 어거스트 에디 에디슨 에바 에이프릴 엘라 오노 오다 오스카 오스틴 오즈 오토 올랜도 와일드 요코 우디 우마 우즈 워싱턴 웨스트 웨인 윌 유이 유지 유코 유키 율리아 이반 이브
이사벨 이삭 장 잭 제나 제니 제이 젠슨 조 조던 조디 조커 주드 지단 지로 지카 진저 질 짐 차 처칠 첼시 칸 칼 카라 카로 카터 케인 켄 코너 코난 코리 쿠퍼 퀸 크루즈 크리스털 클라우드 키스 토니 토르 토미 톰 토시 트리니티 티나 팀 파커 판도라 패트릭 포드 포스터 포터
폴 프로도 플로렌스 피트 필 하퍼 할리 행크스 허브 헌터 호프만 홀리 휴스턴 히로 히스 사라 공리 여명 서극 순자 장자 노자 조조 유비 관우 수치 라마 룩 모디 칸트 피트니 파리 하나코 미와 미키 미나미 네루 제다이 로빈 마리오 델 오에 이토 에디 아야 조디 유우
루크 알도 안나 알렉사 아폴로 카스파 카프카 코지 쇼타 소스케 신지 신조 지네딘 브루노 세라 델리 헐크 요다 인디아나 터미네이터 토레스 베른 번즈 에덴 요한 제다 콜린 올라프 라푼젤 빌리 레이건 도미니크 파스칼 보리스 바커 칼리 캘리 크리스 키라 클로드 로사 마돈나 데이지 스텔라
"""
)
# that end transliterated names: 슈왈츠 + 제네거, 구르 + 예비치
FOREIGN_ENDINGS = tuple(
    sorted(
        lexicon(
            "비치 스키 스카야 노프 노바 도프 코프 코바 로프 로바 소프 초프 예프 예바 센코 첸코 펠드 펠트 버그 베르크 만쎌 리히 하임 하이머 바흐 슈타인 스타인 스탄 "
            "우스 이우스 리우스 니우스 니우 데스 레스 네스 테스 반스 킨스 킨슨 스톤 스턴 튼 튼스 더슨 슨 러드 워드 포드 퍼드 모어 베인 브란트 브뢰 브루크 셀 셸 "
            "첼 켈 켈리 글리 즐리 슬리 블리 틀리 리츠 니츠 비츠 위츠 로비츠 제네거 네거 베거 체티 체토 첼리 레티 네티 리니 니니 티니 치니 렐리 렐로 텔리 텔로 히로 타로 지로 스케 미치 무라 야마 모토 카와 가와 자키 자와 시마 즈미 하시 나베 리야 리에 리아노 "
            "그렌 스트룀 룀 센 손 쿼스 퀴스트 켄 큰 웨이 하트 하르트 베르 베르트 베르토 레르 레트 레티 넬 렌코 멘코 르크 르트 르그 르스 스트 프트 크스 츠 맥 맨 먼 드먼 버리 비디 바디 자이 자드 무드 흐마드 마드 파트 라힘 울라 이즘 딘"
        )
    )
)

ENGLISH_NAMES = lexicon(
    """
Aaron Abigail Abraham Ada Adam Adrian Adriana Agnes Ahmed Aidan Aisha Alan Albert Alberto Alejandro Alex Alexa Alexander Alexandra Alexis Alfred Ali Alice Alicia Alison Allison Amanda Amber Amelia Amy Ana Anastasia Andrea Andreas Andrew Andy
Angela Angelina Anita Ann Anna Anne Annie Anthony Antonio Ariana Arnold Arthur Ashley Audrey Aurora Austin Ava Barack Barbara Barry Beatrice Becky Belinda Ben Benedict Benjamin Bernard Bernie Beth Betty Beverly Bianca Bob Bobby Bonnie Brad Bradley Brandon Brenda
Brendan Brian Brianna Bridget Brittany Bruce Bruno Bryan Caitlin Caleb Calvin Cameron Camila Carl Carla Carlos Carmen Carol Caroline Carolyn Carrie Catherine Cathy Cecilia Charles Charlie Charlotte Chelsea Cheryl Chloe Chris Christian Christina Christine Christopher Cindy
Claire Clara Claudia Clayton Clifford Clint Colin Connor Corey Craig Cristina Crystal Curtis Cynthia Daisy Dale Damian Dan Daniel Daniela Danielle Danny Darius Darren Dave David Dean Deborah Debra Dennis Derek Desmond Diana Diane Diego Dmitri Dominic Donald Donna Doris Dorothy
Doug Douglas Dwight Dylan Earl Ed Eddie Edgar Edith Eduardo Edward Edwin Eileen Elaine Eleanor Elena Eli Elijah Elizabeth Ella Ellen Elliot Elliott Elon Elsa Elvis Emily Emma Enrique Eric Erica Erik Erika Erin Ernest Esther Ethan Eugene Eva Evan Evelyn Felicia Felix Fernando Fiona
Florence Frances Francesca Francis Francisco Frank Franklin Fred Frederick Gabriel Gabriela Gail Gareth Gary Gavin Gemma Gene Geoffrey George Georgia Gerald Geraldine Gilbert Gina Gladys Glenn Gloria Gordon Grace Graham Greg Gregory Greta Gwen Hannah Harold Harriet Harry Harvey Hassan Heather Hector Heidi
Helen Helena Henry Herbert Herman Hillary Holly Howard Hugh Hugo Ian Ibrahim Ingrid Irene Iris Isaac Isabel Isabella Ivan Jack Jackie Jackson Jacob Jacqueline Jacques Jaime Jake James Jamie Jan Jane Janet Janice Jared Jasmine Jason Javier Jay Jean Jeff Jeffrey Jennifer Jenny Jeremy Jerome Jerry
Jesse Jessica Jesus Jill Jim Jimmy Jo Joan Joanna Joanne Joe Joel Johan John Johnny Jon Jonathan Jordan Jorge Jose Joseph Josephine Josh Joshua Joyce Juan Judith Judy Julia Julian Julie Juliet Justin Kaitlyn Karen Karl Kate Katherine Kathleen Kathryn Kathy Katie Katrina Kayla Keith Kelly Ken Kenneth
Kevin Kim Kimberly Kirsten Klaus Kristen Kristin Kurt Kyle Larry Laura Lauren Laurence Lawrence Leah Lee Leila Leo Leon Leonard Leonardo Leslie Lewis Liam Lillian Lily Linda Lindsay Lindsey Lisa Logan Lois Lola Lopez Lorenzo Lori Louis Louise Lucas Lucia Lucy Luis Luke Lydia Lynn Madeline Madison Mandy Manuel Marc
Marcus Margaret Maria Marie Marilyn Mario Marion Marissa Mark Marlene Marshall Martha Martin Marvin Mary Mason Mateo Matt Matthew Maureen Maurice Max Maxwell Megan Melanie Melissa Mia Michael Michele Michelle Miguel Mike Mildred Mina Miranda Mitchell Mohamed Mohammed Molly Monica Morgan Muhammad Myra Nadia Nancy Naomi Natalie Natasha
Nathan Nathaniel Neil Nelson Nicholas Nick Nicole Nikita Nina Noah Noel Nora Norma Norman Oliver Olivia Omar Oscar Owen Pablo Pamela Patricia Patrick Paul Paula Pauline Pedro Peggy Penelope Penny Pete Peter Philip Phillip Phoebe Phyllis Pierre Priya Rachel Rafael Ralph Ramon Randy Raymond Rebecca Reginald Renee Ricardo Richard Rick Ricky
Rita Rob Robert Roberto Robin Rodney Roger Roland Ronald Ronnie Rosa Rosemary Ross Roy Ruby Russell Ruth Ryan Sabrina Sally Sam Samantha Samuel Sandra Sara Sarah Scarlett Scott Sean Sebastian Serena Sergio Seth Shane Shannon Sharon Shawn Sheila Shelly Shirley Sidney Simon Sofia Sonia Sophia Sophie Stacy Stanley Stella Stephanie Stephen Steve
Steven Stewart Stuart Susan Suzanne Sylvia Tamara Tanya Tara Ted Teresa Terry Theodore Theresa Thomas Tiffany Tim Timothy Tina Todd Tom Tommy Tony Tracy Travis Trevor Tyler Ursula Valerie Vanessa Vera Veronica Vicki Victor Victoria Vincent Viola Virginia Vivian Vladimir Walter Wanda Warren Wayne Wendy Wesley Whitney Wilfred William Willie Winston
Yolanda Yvonne Zachary Zoe Jinsoo Minsoo Minji Jisoo Seojun Jiho Minho Hyunwoo Jiwon Yuna Soyeon Jihoon Donghyun Sungmin Youngho Kyungsoo Taeyang Gildong Hiroshi Yuki Kenji Takashi Haruki Akira Wei Ming Xiaoming Raj Rahul Amit Anil Arjun Deepak Sanjay Vijay Sunil Ravi Neha Pooja Anjali Fatima Yusuf Mustafa
"""
)
# words, months, places, tools as well: only before a family name or after a cue
AMBIGUOUS_ENGLISH = lexicon(
    """
Ada Adam Amber Ana Ann Aurora Austin Ava Berlin Beth Brad Chelsea Christian Clara Claire Crystal Dale Daisy Dan Dean Earl Ed Eli Ella Eva Faith Florence Frances Frank Franklin Gail Gene Georgia Gordon Grace Harry Heather Holly Iris Isaac Ivan Jackson Jan Jasmine Jay Jean Jesus Jo Jordan
Juan Julia Ken Kim Lee Leo Leon Lily Logan Lola Lopez Louis Lynn Madison Marc Mark Marshall Martin Mason Max Maxwell Mia Ming Mina Morgan Nelson Nick Norman Oscar Penny Pierre Randy Raymond Rob Robin Rosa Rosemary Ross Roy Ruby Sam Sandra Sandy Scott Sean Seth Shannon Sidney Sofia Stella Sydney Tara
Ted Tim Tyler Vera Victor Victoria Viola Virginia Warren Wayne Wei Wesley Whitney Willie Winston Yuki Jenkins Jupiter Python Alexa Cameron Ali Alex Alice Bob Angela Carmen Charlotte Diego Lisa Elsa Erik Felix Bruno Helena Hector Hugo Linda Lisa Lucas Luis Pablo Mario Maria Ben Francisco Jose Antonio Ruth Mary Sara James Paul John Peter Thomas David Matthew Luke George
Henry Charles William Elizabeth Anne Andrew Louis Jack Jerry Joe Tom Will Bill Bob Don Art
"""
)
