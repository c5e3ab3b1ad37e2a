"""Internal test suites: cases that people wrote, in versions that never change, named by their content."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from jsonschema.validators import validator_for
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from loopwright.contracts.base import JsonObject, storable
from loopwright.errors import Conflict, Invalid
from registry_svc.domain.scoring import HeldOutCase

MOST_CASE_CHARS = 20_000
MOST_DIGITS = 9  # of a version: PostgreSQL's integer
MOST_REASONS = 50  # a file with the wrong columns says so once a line: nobody reads a thousand of that


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


_CHECKS = (AfterValidator(storable), AfterValidator(_not_blank))
CaseText = Annotated[str, StringConstraints(min_length=1, max_length=MOST_CASE_CHARS), *_CHECKS]
CaseId = Annotated[str, StringConstraints(min_length=1, max_length=200), *_CHECKS]


class CaseDraft(BaseModel):
    """One case as people write it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: CaseId | None = Field(default=None, description="name of the case; its number if there is none")
    input: CaseText = Field(description="what a user would send")
    expected: CaseText | JsonObject = Field(
        description="the right answer: a text, or the object that a schema asks for"
    )


@dataclass(frozen=True, kw_only=True)
class SuiteCase:
    """One case of a version.

    Attributes:
        number: From 1, in the order in which they were given.
    """

    number: int
    case_id: str
    input: str
    expected: str


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Cases for one task, under a name that stays.

    Attributes:
        version: Number of its newest version.
        archived_at: Since when it is not used for new evaluations.
    """

    name: str
    task_id: str
    description: str
    version: int
    created_by: str
    created_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class SuiteVersion:
    """One version of a suite; it never changes.

    Attributes:
        sha256: Of its cases in canonical form: equal content has an equal hash.
    """

    name: str
    version: int
    sha256: str
    cases: int
    created_by: str
    created_at: datetime

    @property
    def suite_id(self) -> str:
        """What evaluations know it by: `<name>@<version>`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class CaseProblem:
    """One thing that is wrong with a file of cases.

    Attributes:
        place: `line 7`, or `file` for the whole.
    """

    place: str
    reason: str


class CasesRefused(Exception):
    """Cases cannot be accepted; says what is wrong with which line."""

    def __init__(self, *problems: CaseProblem) -> None:
        shown = problems[:MOST_REASONS]
        text = "; ".join(f"{problem.place}: {problem.reason}" for problem in shown)
        left = len(problems) - len(shown)
        super().__init__(f"{text}; and {left} more" if left else text)
        self.problems = shown


@dataclass(frozen=True, kw_only=True)
class CaseRules:
    """What the cases of a suite must keep to.

    Attributes:
        most_cases: Of one version.
        answer_schema: What right answers must satisfy, if the task has structured answers.
        answer_field: Field of a right answer that is compared, if one is.
    """

    most_cases: int
    answer_schema: JsonObject | None = None
    answer_field: str | None = None


Draft = CaseDraft | CaseProblem


def split_suite_id(suite_id: str) -> tuple[str, int]:
    """Name and version of `<name>@<version>`.

    Raises:
        Invalid: it is not written so.
    """
    name, at, version = suite_id.rpartition("@")
    if not (at and name and version.isascii() and version.isdecimal() and 1 <= len(version) <= MOST_DIGITS):
        raise Invalid("suite.malformed", f"{suite_id[:200]!r} is not written <suite>@<version>")
    return name, int(version)


def draft_of(value: object) -> CaseDraft | str:
    """Reads one case; text says what is wrong with it."""
    try:
        return CaseDraft.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "case"
        reason = "no such field" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        return f"{ascii(field)[1:-1]}: {reason}"


def accept_cases(drafts: Sequence[tuple[str, Draft]], rules: CaseRules) -> tuple[SuiteCase, ...]:
    """Numbers cases and checks what no single one can know.

    Args:
        drafts: Places and what was read there, in order.

    Raises:
        CasesRefused: with every wrong line and its reason.
    """
    if not drafts:
        raise CasesRefused(CaseProblem("file", "holds no case"))
    if len(drafts) > rules.most_cases:
        raise CasesRefused(CaseProblem("file", f"holds more than {rules.most_cases} cases"))
    problems: list[CaseProblem] = []
    cases: list[SuiteCase] = []
    seen: dict[str, str] = {}
    for number, (place, draft) in enumerate(drafts, start=1):
        if isinstance(draft, CaseProblem):
            problems.append(draft)
            continue
        case = _numbered(number, draft)
        problems += (CaseProblem(place, reason) for reason in _refusals(case, rules, seen))
        seen.setdefault(case.case_id, place)
        cases.append(case)
    if problems:
        raise CasesRefused(*problems)
    return tuple(cases)


def _numbered(number: int, draft: CaseDraft) -> SuiteCase:
    expected = draft.expected if isinstance(draft.expected, str) else canonical(draft.expected)
    return SuiteCase(number=number, case_id=draft.case_id or str(number), input=draft.input, expected=expected)


def _refusals(case: SuiteCase, rules: CaseRules, seen: dict[str, str]) -> Iterator[str]:
    if case.case_id in seen:
        yield f"case_id: {case.case_id!a} stands at {seen[case.case_id]} already"
    if rules.answer_schema is None:
        return
    try:
        expected: JsonValue = json.loads(case.expected)
    except (ValueError, RecursionError):
        yield "expected: is not JSON, and the task's answers are"
        return
    wanted = rules.answer_field
    if wanted is not None and (not isinstance(expected, dict) or wanted not in expected):
        yield f"expected: lacks {wanted}, which evaluation compares"
    schema = rules.answer_schema
    first = next(iter(validator_for(schema)(schema).iter_errors(expected)), None)
    if first is not None:
        yield f"expected: does not satisfy the task's answer_schema: {first.message[:200]}"


def canonical(value: JsonValue) -> str:
    """JSON in one spelling, as the servers write it: no spaces, order as given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def content_hash(cases: Sequence[SuiteCase]) -> str:
    """SHA-256 of the cases, one JSON array per line; independent of how the file spelled them."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(canonical([case.case_id, case.input, case.expected]).encode() + b"\n")
    return digest.hexdigest()


def held_out_cases(cases: Sequence[SuiteCase]) -> tuple[HeldOutCase, ...]:
    """What the evaluation engine asks: the same as held-out cases of a dataset."""
    return tuple(
        HeldOutCase(number=case.number, sample_id=case.case_id, input=case.input, expected=case.expected)
        for case in cases
    )


def check_usable(suite: Suite) -> None:
    """An archived suite is not asked any more.

    Raises:
        Conflict: it is archived.
    """
    if suite.archived_at is not None:
        raise Conflict("suite.archived", f"the suite {suite.name} is archived", name=suite.name)
