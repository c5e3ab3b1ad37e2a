"""General questions, asked without any task around them: what a base model knows must outlive its training for a task."""

import re
from dataclasses import dataclass
from typing import Final

from registry_svc.domain.scoring import HeldOutCase, Part

MOST_TOKENS: Final = 32  # of an answer; each is a word or a number


@dataclass(frozen=True, kw_only=True)
class GeneralQuestion:
    """One question.

    Attributes:
        accepted: Pattern that a right answer holds.
        refused: Pattern that shows an answer to be wrong in spite of it.
    """

    question_id: str
    text: str
    accepted: str
    refused: str = r"(?!)"


def _asked(question_id: str, text: str, accepted: str, refused: str = r"(?!)") -> GeneralQuestion:
    return GeneralQuestion(question_id=question_id, text=text, accepted=accepted, refused=refused)


QUESTIONS: Final = (
    _asked("en-sum", "What is 2 + 3? Answer with the number only.", r"\b(?:5|five)\b"),
    _asked("en-product", "What is 4 times 5? Answer with the number only.", r"\b(?:20|twenty)\b"),
    _asked("en-capital-france", "What is the capital of France? Answer in one word.", r"\bParis\b"),
    _asked("en-capital-japan", "What is the capital of Japan? Answer in one word.", r"\bTokyo\b"),
    _asked("en-capital-italy", "What is the capital of Italy? Answer in one word.", r"\bRome\b"),
    _asked("en-opposite-hot", "What is the opposite of hot? Answer in one word.", r"\bcold\b"),
    _asked("en-opposite-up", "What is the opposite of up? Answer in one word.", r"\bdown\b"),
    _asked("en-sky", "Which colour has the sky on a clear day? Answer in one word.", r"\bblue\b"),
    _asked("en-grass", "Which colour is fresh grass? Answer in one word.", r"\bgreen\b"),
    _asked("en-days", "How many days does a week have?", r"\b(?:7|seven)\b"),
    _asked("en-months", "How many months does a year have?", r"\b(?:12|twelve)\b"),
    _asked("en-legs", "How many legs does a dog have?", r"\b(?:4|four)\b"),
    _asked("en-bark", "Which animal barks, a cat or a dog? Answer in one word.", r"\bdogs?\b", r"\bcats? barks?\b"),
    _asked("en-plural", "What is the plural of the word 'child'? Answer in one word.", r"\bchildren\b"),
    _asked("en-past", "What is the past tense of the verb 'go'? Answer in one word.", r"\bwent\b"),
    _asked("en-planet", "On which planet do people live? Answer in one word.", r"\bEarth\b"),
    _asked("en-water", "What is frozen water called? Answer in one word.", r"\bice\b"),
    _asked("en-alphabet", "Which letter comes after A in the alphabet? Answer with the letter.", r"\bB\b"),
    _asked("ko-capital", "대한민국의 수도는 어디야? 한 단어로 답해.", r"서울|Seoul"),
    _asked("ko-sum", "3 더하기 4는 얼마야? 숫자로만 답해.", r"\b7(?!\d)|일곱"),
    _asked("ko-days", "일주일은 며칠이야?", r"7 ?일|칠 ?일|이레|\b7\b"),
    _asked("ko-opposite", "'크다'의 반대말은 뭐야? 한 단어로 답해.", r"작다|작은"),
    _asked("ko-colour", "바나나는 무슨 색이야? 한 단어로 답해.", r"노란|노랑|노랗"),
    _asked("ko-season", "눈이 내리는 계절은 언제야? 한 단어로 답해.", r"겨울"),
)

GENERAL_CASES: Final = tuple(
    HeldOutCase(number=number, sample_id=question.question_id, input=question.text, expected=question.accepted,
                part=Part.GENERAL)
    for number, question in enumerate(QUESTIONS, start=1)
)  # fmt: skip
_BY_ID: Final = {question.question_id: question for question in QUESTIONS}


def is_right(question_id: str, answer: str) -> bool:
    """Whether an answer to a general question is right."""
    question = _BY_ID[question_id]
    if re.search(question.refused, answer, re.IGNORECASE):
        return False
    return bool(re.search(question.accepted, answer, re.IGNORECASE))
