"""What /analyze and /label take and give."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loopwright.contracts.base import Identifier, JsonObject, Storable
from router_svc.domain.analyzing import Kind

_Text = Annotated[Storable, Field(min_length=1, max_length=20_000)]
_User = Annotated[str, Field(min_length=1, max_length=500)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: _User | None = Field(default=None, description="whom experiments assign; stored only as a keyed hash")


class AnalysisRequest(_Body):
    """One text or several, of which either is given."""

    text: _Text | None = Field(default=None, description="a passage of log, or any text")
    texts: tuple[_Text, ...] = Field(default=(), max_length=32, description="several of them")
    kinds: tuple[Kind, ...] = Field(default=tuple(Kind), min_length=1, max_length=3, description="what is found out")

    @property
    def every_text(self) -> tuple[str, ...]:
        return self.texts if self.text is None else (self.text,)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.text is None) == (not self.texts):
            raise ValueError("either `text` or `texts` is given")
        return self


class Problem(BaseModel):
    """A problem of mathematics."""

    model_config = ConfigDict(extra="forbid")

    problem_id: Identifier | None = Field(default=None, description="the client's own name for it, given back")
    text: _Text = Field(description="the problem as it stands in the book")


class LabelRequest(_Body):
    """One problem or several, of which either is given."""

    problem_id: Identifier | None = Field(default=None, description="the client's own name for `text`, given back")
    text: _Text | None = Field(default=None, description="a problem")
    problems: tuple[Problem, ...] = Field(default=(), max_length=64, description="several of them")

    @property
    def every_problem(self) -> tuple[Problem, ...]:
        return self.problems if self.text is None else (Problem(problem_id=self.problem_id, text=self.text),)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.text is None) == (not self.problems):
            raise ValueError("either `text` or `problems` is given")
        if self.text is None and self.problem_id is not None:
            raise ValueError("`problem_id` goes with `text`; each of `problems` has its own")
        return self


class ItemProblem(BaseModel):
    """Why there is no answer to one question."""

    code: str = Field(description="stable code, for programs")
    detail: str = Field(description="for people")


class Finding(BaseModel):
    """What one task says of a text."""

    task_id: str
    inference_id: str | None = Field(default=None, description="what the answer can be rated by")
    variant_id: str | None = Field(default=None, description="who answered")
    answer: JsonObject | str | None = Field(
        default=None, description="in the task's form: an object for sentiment and anomaly, text for a summary"
    )
    error: ItemProblem | None = None


class AnalysedText(BaseModel):
    """What was asked of one text; the other kinds are null."""

    index: int = Field(description="place of the text in the request, from 0")
    sentiment: Finding | None = None
    anomaly: Finding | None = None
    summary: Finding | None = None


class Analyses(BaseModel):
    """In the order in which texts came."""

    items: tuple[AnalysedText, ...]
    total: int


class LabelledProblem(BaseModel):
    """Where a problem belongs."""

    problem_id: str | None = None
    inference_id: str | None = Field(default=None, description="what the answer can be rated by")
    variant_id: str | None = Field(default=None, description="who answered")
    labels: dict[str, str] | None = Field(default=None, description="대분류, 중분류 and 하위 분류")
    error: ItemProblem | None = None


class LabelledProblems(BaseModel):
    """In the order in which problems came."""

    items: tuple[LabelledProblem, ...]
    total: int
