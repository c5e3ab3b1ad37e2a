"""Text from outside is kept only if PostgreSQL can keep it and UTF-8 can write it."""

import pytest
from pydantic import TypeAdapter, ValidationError

from loopwright.contracts.base import Storable

TEXT = TypeAdapter[str](Storable)


@pytest.mark.parametrize("text", ["", "plain", "한글 🧵", "\n\t\x7f"])
def test_text_is_kept(text: str) -> None:
    assert TEXT.validate_python(text) == text


@pytest.mark.parametrize(("text", "reason"), [("a\0b", "NUL"), ("\ud83e", "surrogate"), ("a\udfffb", "surrogate")])
def test_what_cannot_be_kept_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TEXT.validate_python(text)
