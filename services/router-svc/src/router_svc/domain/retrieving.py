"""Similar cases beside a question: which are shown, how they are written, and the template that then holds both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from loopwright.contracts.tasks import Retrieval

LONGEST_QUERY = 2_000  # characters; dataset-svc searches for no longer ones
_PLACES = re.compile(r"\{(passages|question)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A similar case.

    Attributes:
        facts: What is known of it, such as its labels; names and values.
        score: Comparable with others of the same search only; more is more alike.
    """

    title: str
    text: str
    facts: tuple[tuple[str, str], ...]
    score: float


def query_of(text: str) -> str:
    """What similar cases are looked up by; empty for nothing."""
    return text.strip()[:LONGEST_QUERY]


def template_with(passages: Sequence[Passage], retrieval: Retrieval, *, user_template: str) -> str:
    """The template of the user's message with passages in it; as it was if none is shown.

    What passages hold is text: no place of a template in it is filled.
    """
    shown = shown_passages(passages, retrieval)
    if not shown:
        return user_template
    values = {"passages": shown.replace("{input}", "{ input }"), "question": user_template}
    return _PLACES.sub(lambda place: values[place[1]], retrieval.template)


def shown_passages(passages: Sequence[Passage], retrieval: Retrieval) -> str:
    """The best passages that fit, whole, with an empty line between two; the first is cut if it alone is too long."""
    enough = [one for one in passages if retrieval.min_score is None or one.score >= retrieval.min_score]
    shown: list[str] = []
    left = retrieval.max_chars
    for passage in enough[: retrieval.top_k]:
        written = _written(passage)
        if not shown:
            written = written[:left]
        if len(written) > left:
            continue
        shown.append(written)
        left -= len(written) + 2
    return "\n\n".join(shown)


def _written(passage: Passage) -> str:
    facts = "\n".join(f"{name}: {value}" for name, value in passage.facts)
    return "\n".join(part for part in (passage.title, passage.text, facts) if part)
