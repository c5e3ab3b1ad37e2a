"""Words and endings of Korean and English that carry no content of their own."""

_ENDINGS_KO = """
은 는 이 가 을 를 의 에 에서 에게 께 께서 한테 로 으로 와 과 랑 이랑 도 만 까지 부터 마다 보다 처럼 같이 이나 나 라도 이라도
조차 마저 밖에 이며 며 이고 이라 라고 이라고 으로서 로서 으로써 로써 에는 에도 에서는 에서도 에게는 으로는 로는 까지는 부터는
이라는 라는 이란 란 이다 입니다 이에요 예요 이었다 였다 인 들 들은 들이 들을 들의 간 쯤 씩 째
하다 한다 합니다 했다 했습니다 하였다 하였습니다 하는 한 할 함 하고 하며 하여 해 해서 해야 하면 하지 하기 하도록 하세요 해요 했어요
하십시오 되다 된다 됩니다 됐다 됐습니다 되었다 되었습니다 되는 된 될 됨 되고 되며 되어 돼 돼서 되면 되지 되기 되도록 돼요
시킨다 시킵니다 시키는
고 면 지 던 어서 아서 어요 아요 었다 았다 었습니다 았습니다 습니다 나요 습니까 세요 으세요
"""
_STOP_KO = """
그 이 저 것 수 등 및 또는 그리고 하지만 그러나 때문 위해 위한 대한 대해 통해 경우 네 예 아니요 있다 있습니다 있는 없다 없습니다 없는
합니다 하는 됩니다 되는 입니다 이다 때 더 또 즉 그래서 따라서 해당 다음 무엇 무슨 어떤 어떻게 언제 어디 어디서 누가 누구 왜 몇 얼마 얼마나
"""
_STOP_EN = """
a an the is are was were be been to of in on at by for and or not it its this that with as from has have had do does did will would
can could should may might must if then than so i me my you your we our us they their he she yes no which what how why when where who
"""
_VAGUE_KO = "하 되 있 없 이 같 주 보 것 수 등 때 말 가 오 알 싶 어떻 이렇 그렇"

ENDINGS = tuple(sorted(_ENDINGS_KO.split(), key=lambda ending: (-len(ending), ending)))
"""Particles, and endings of verbs, above all of 하다, 되다 and 이다; the longest first."""
STOP_WORDS = frozenset(_STOP_KO.split()) | frozenset(_STOP_EN.split())
ENGLISH_STOP_WORDS = frozenset(_STOP_EN.split())
VAGUE_MORPHEMES = frozenset(_VAGUE_KO.split())
"""Dictionary forms that stand in nearly every sentence."""
