"""Small words and word endings by which a language shows: written for this service, not taken from a list."""
# ruff: noqa: SIM905 - lists of words read best as text

ENGLISH = """
the be is are was were am been being to of and a an that this these those have has had having with for on in at by from as it
its he she they we you i his her their our your my me him them us or not but if then than so no do does did done can could
will would should may might must there here what which who whom how when where why all any some each every more most other such
only also into over after before between about up out because while during through both few own same very just don't
it's i'm you're we're they're can't won't doesn't isn't aren't didn't that's let's i've we've you've
""".split()

# words that English lacks or hardly uses: German, French, Spanish, Portuguese, Italian, Dutch, Indonesian, Turkish, Vietnamese
FOREIGN = """
der die das und ist nicht ein eine einen mit auf für von dem den sich auch wird bei oder wie aber nur noch nach über sind
le la les des une est et dans que qui pour pas sur avec ce cette sont vous nous je il elle mais ou où très être plus
el los las una es y en por con para del se lo como más pero sus este esta está son muy también hay cuando
os um uma não é com ao dos das mais mas foi ele você isso também são
gli che di sono non per anche più questo della nel alla come è
het een van voor niet zijn maar ook naar deze wij
yang dan di ini itu untuk dengan tidak dari adalah pada akan saya anda
bir ve bu için ile çok değil olarak daha ne
và của là có không được cho những các một trong với này
""".split()

# last syllables of words that carry a particle or an ending
ENDINGS = "은는이가을를에의도로와과만고서며면나다요게지니한할된될하함인던려라자네까해돼됨음임죠야들때운온간난린린진친긴른른듯히께랑처럼터든여져어아워냐군걸수것"
PARTICLES = "은는이가을를에의도로와과만"
# last syllables of sentences and of headings
FINALS = "다요까죠음함됨임라자네군지니나어아게걸오데야워줘해돼냐랴래세봐서죵용욤듯것중기후시및등점안법전"
