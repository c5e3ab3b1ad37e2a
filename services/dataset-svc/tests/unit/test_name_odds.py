"""How much syllables look like names: figures come from our own lists."""

import pytest

from dataset_svc.domain.personal.foreign_odds import foreign_odds
from dataset_svc.domain.personal.given_odds import given_odds
from dataset_svc.domain.personal.korean_names import GIVEN_NAMES
from dataset_svc.domain.personal.short_words import SHORT_WORDS


@pytest.mark.parametrize("given", ["병만", "태범", "규훈", "혜범"])
def test_syllables_of_given_names_speak_for_one(given: str) -> None:
    assert given_odds(given) > 0


@pytest.mark.parametrize("word", ["했고", "었던", "빠짐", "커짐", "없음"])
def test_no_given_name_has_such_syllables(word: str) -> None:
    assert given_odds(word) < -10


def test_most_given_names_are_told_from_most_words() -> None:
    names = [given_odds(name) > 0 for name in GIVEN_NAMES if len(name) == 2 and name not in SHORT_WORDS]
    words = [given_odds(word) > 0 for word in SHORT_WORDS - GIVEN_NAMES]
    assert sum(names) > 0.9 * len(names)
    assert sum(words) < 0.25 * len(words)


@pytest.mark.parametrize("name", ["베르티너", "알만도르", "도브레스키", "카르미노바"])
def test_transliterated_names_sound_like_names(name: str) -> None:
    assert foreign_odds(name) > 2


@pytest.mark.parametrize("word", ["가장자리", "이야기하", "생각나서"])
def test_native_words_do_not_sound_like_transliterated_names(word: str) -> None:
    assert foreign_odds(word) < 0
