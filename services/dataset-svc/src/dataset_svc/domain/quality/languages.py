"""Language of a sample by script and small words, and whether it was answered in the language that was asked in.

Nothing is loaded or asked for: two scripts and the small words of a dozen languages suffice to tell Korean and English,
which the platform serves, from the rest.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.quality.kinds import Kinds, code_share, share
from dataset_svc.domain.quality.lexicon_phrases import Phrase
from dataset_svc.domain.quality.measuring import Flags, Measures, Side
from dataset_svc.domain.quality.parts import LANGUAGES, Language
from dataset_svc.domain.quality.verdicts import Verdict
from dataset_svc.domain.quality.words import ENGLISH_FUNCTION, FOREIGN_FUNCTION, LATIN_WORDS
from loopwright.toxicity.characters import FOREIGN, HAN, HANGUL, JAMO, LOWER, UPPER

Languages = NDArray[np.int64]
_SYLLABLE: Final = 2.5
_DENSE_CODE: Final = 0.2
_NUMBER: Final = {language: place for place, language in enumerate(LANGUAGES)}
# by place in LANGUAGES
_SERVED: Final = np.array([language in {Language.KOREAN, Language.ENGLISH} for language in LANGUAGES])
_STRANGE: Final = np.array([language is Language.OTHER for language in LANGUAGES])
_WORDLESS: Final = np.array([language in {Language.ENGLISH, Language.CODE, Language.NONE} for language in LANGUAGES])


def languages_of(side: Side, machine: Flags) -> Languages:
    """Place in LANGUAGES of each text [samples], where it is known which are machine text."""
    profile, words = side.profile, side.words
    korean = _SYLLABLE * (profile[:, HANGUL] + profile[:, JAMO])
    latin = profile[:, LOWER] + profile[:, UPPER]
    elsewhere = _SYLLABLE * profile[:, HAN] + profile[:, FOREIGN]
    letters = korean + latin + elsewhere
    hangul = share(korean, letters)
    small = words[:, ENGLISH_FUNCTION] + words[:, FOREIGN_FUNCTION]
    not_english = (words[:, FOREIGN_FUNCTION] >= 2) & (words[:, FOREIGN_FUNCTION] > words[:, ENGLISH_FUNCTION])
    not_english &= share(words[:, FOREIGN_FUNCTION], words[:, LATIN_WORDS]) > 0.1
    found = np.full(len(letters), _NUMBER[Language.ENGLISH])
    found[not_english] = _NUMBER[Language.OTHER]
    found[(hangul > 0.15) & (hangul < 0.55) & (small >= 2)] = _NUMBER[Language.MIXED]
    found[(hangul > 0.15) & ((hangul >= 0.55) | (small < 2))] = _NUMBER[Language.KOREAN]
    wordless = share(small, words[:, LATIN_WORDS]) < 0.15
    found[machine & (hangul < 0.3) & (wordless | (code_share(side) > _DENSE_CODE))] = _NUMBER[Language.CODE]
    found[share(elsewhere, letters) > 0.4] = _NUMBER[Language.OTHER]
    found[letters == 0] = _NUMBER[Language.NONE]
    return found


def sample_languages(asked: Languages, answered: Languages, kinds: Kinds) -> Languages:
    """Language of the answer where it is a text, else that of the question."""
    # labels and keys of JSON are English words in any language
    wordless = _WORDLESS[answered]
    by_question = kinds.structured | (kinds.label & wordless) | (answered == _NUMBER[Language.NONE])
    by_question &= asked != _NUMBER[Language.NONE]
    return np.where(by_question, asked, answered)


def score_language(measures: Measures, kinds: Kinds, asked: Languages, answered: Languages) -> Verdict:
    """Scores whether prose is answered in the language of the question, unless another one was asked for."""
    question, answer = measures.question, measures.answer
    verdict = Verdict.of(len(answer.length))
    exempt = (question.phrases[:, Phrase.ASKS_FOR_LANGUAGE] > 0) | kinds.log | ~kinds.prose
    other = _SERVED[asked] & (asked != answered) & (_SERVED | _STRANGE)[answered] & ~exempt
    other &= (answer.words[:, 0] >= 5) & (question.words[:, 0] >= 2)
    verdict.lower("language.other-than-asked", other, to=0.2)
    strange = _STRANGE[answered] & ~exempt & ~other
    verdict.lower("language.not-served", strange, to=0.5)
    return verdict
