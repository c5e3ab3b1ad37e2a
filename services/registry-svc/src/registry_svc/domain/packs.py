"""A task pack: what a person declares of a task in YAML or through the API, checked with reasons that help."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import yaml
from jsonschema import SchemaError
from jsonschema.validators import validator_for
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from loopwright.contracts.base import Identifier, JsonObject, storable
from loopwright.contracts.tasks import (
    DataPolicy,
    GatePolicy,
    GenerationParameters,
    PrivacyPolicy,
    PromptTemplate,
    RetrainingPolicy,
    Retrieval,
    RolloutPolicy,
    SourcePolicy,
    SuccessMetric,
    TrainingPolicy,
)

MOST_TASK_ID = 40
MOST_BASE_MODEL = 45  # with its version, 47: what a variant may have inside a signed inference id


class TaskPack(BaseModel):
    """The fields of `task.defined` that a person declares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: Identifier = Field(description="name of the task, also the `model` that clients ask for")
    title: str = Field(min_length=1, max_length=200, description="for people")
    description: str = Field(default="", description="what the task is for")
    base_model: Identifier = Field(description="name of the base model that its variants start from")
    prompt: PromptTemplate = Field(description="what is put around the user's message")
    answer_schema: JsonObject | None = Field(default=None, description="JSON Schema of the answer, if it is structured")
    answer_field: str | None = Field(default=None, description="field of a structured answer that evaluation compares")
    generation: GenerationParameters = Field(default_factory=GenerationParameters, description="variants' defaults")
    success_metric: SuccessMetric = Field(description="what experiments are decided by")
    data_policy: DataPolicy = Field(default_factory=DataPolicy, description="raw samples to dataset")
    training: TrainingPolicy = Field(default_factory=TrainingPolicy, description="dataset to job")
    retraining: RetrainingPolicy = Field(default_factory=RetrainingPolicy, description="feedback to dataset request")
    gate: GatePolicy = Field(default_factory=GatePolicy, description="evaluation to live traffic")
    rollout: RolloutPolicy = Field(default_factory=RolloutPolicy, description="live traffic to decision")
    retrieval: Retrieval | None = Field(default=None, description="similar cases beside the question; none: not")
    privacy: PrivacyPolicy = Field(default_factory=PrivacyPolicy, description="what events may carry")
    sources: tuple[SourcePolicy, ...] = Field(
        default=(), max_length=20, description="upstream records that it learns from"
    )


@dataclass(frozen=True)
class PackProblem:
    """One thing that is wrong with a pack.

    Attributes:
        field: Path of the field, dots between its parts; `pack` for the whole.
    """

    field: str
    reason: str


class PackRefused(Exception):
    """A pack cannot be accepted; says everything that is wrong with it."""

    def __init__(self, *problems: PackProblem) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.reason}" for problem in problems))
        self.problems = problems


def parse_pack(text: str, *, base_models: Collection[str]) -> TaskPack:
    """Reads a YAML pack.

    Raises:
        PackRefused: it is not YAML, or `check_pack` refuses it.
    """
    try:
        declared: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PackRefused(PackProblem("pack", f"not YAML: {' '.join(str(error).split())}")) from error
    return check_pack(declared, base_models=base_models)


def check_pack(declared: object, *, base_models: Collection[str]) -> TaskPack:
    """Checks a declaration, down to fields that nobody knows.

    Args:
        base_models: Names that a pack may start from.

    Raises:
        PackRefused: with every wrong field and its reason.
    """
    if not isinstance(declared, dict):
        raise PackRefused(PackProblem("pack", "must be a mapping of fields"))
    unstorable = tuple(_unstorable(declared))
    if unstorable:
        raise PackRefused(*unstorable)
    try:
        # events ignore unknown fields; in a declaration one is a slip of the pen that would silently do nothing
        pack = TaskPack.model_validate(declared, extra="forbid")
    except ValidationError as error:
        raise PackRefused(*(_problem(entry) for entry in error.errors(include_url=False))) from error
    problems = [PackProblem(field, reason) for field, reason in _disagreements(pack)]
    if pack.base_model not in base_models:
        known = ", ".join(sorted(base_models)) or "none"
        problems.append(PackProblem("base_model", f"{pack.base_model} is not a known base model (known: {known})"))
    if problems:
        raise PackRefused(*problems)
    return pack


def _unstorable(declared: object, *place: str) -> Iterator[PackProblem]:
    """What no database takes, at any depth: texts that are none, numbers that JSON cannot write."""
    match declared:
        case str():
            try:
                storable(declared)
            except ValueError as error:
                yield PackProblem(".".join(place), str(error))
        case float() if not math.isfinite(declared):
            yield PackProblem(".".join(place), "is no finite number")
        case dict():
            for key, value in declared.items():
                yield from _unstorable(key, *place, "a field's name")
                yield from _unstorable(value, *place, ascii(str(key))[1:-1])
        case list():
            for number, value in enumerate(declared):
                yield from _unstorable(value, *place, str(number))
        case _:
            return


def _problem(entry: ErrorDetails) -> PackProblem:
    reason = _no_such_field(entry["loc"]) if entry["type"] == "extra_forbidden" else entry["msg"]
    return PackProblem(".".join(str(part) for part in entry["loc"]) or "pack", reason)


def _no_such_field(loc: tuple[int | str, ...]) -> str:
    """Names the field that was probably meant."""
    *path, written = loc
    near = get_close_matches(str(written), _fields_at(path), n=1, cutoff=0.7)
    return f"no such field; is {near[0]} meant?" if near else "no such field"


def _fields_at(path: Sequence[int | str]) -> list[str]:
    """Names of the fields that a declaration may have at a place."""
    model: type[BaseModel] = TaskPack
    for name in path:
        inner = model.model_fields[name].annotation if name in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _disagreements(pack: TaskPack) -> list[tuple[str, str]]:
    """What no single field can know: (field, reason)."""
    found: list[tuple[str, str]] = []
    policy, rollout = pack.data_policy, pack.rollout
    if "{input}" not in pack.prompt.user:
        found.append(("prompt.user", "must hold {input}, the place of what the user sent"))
    if policy.held_out_share_0_1 + policy.validation_share_0_1 >= 1:
        found.append(("data_policy", "held-out and validation shares leave nothing to train on"))
    if rollout.max_users < 2 * rollout.min_users_per_arm:
        found.append(("rollout.max_users", "is below two arms of min_users_per_arm: no experiment could be decided"))
    for field, name, most in (
        ("task_id", pack.task_id, MOST_TASK_ID),
        ("base_model", pack.base_model, MOST_BASE_MODEL),
    ):
        if len(name) > most:
            found.append((field, f"has {len(name)} characters, at most {most} fit into the ids of inferences"))
    if len({policy.source for policy in pack.sources}) < len(pack.sources):
        found.append(("sources", "names a source twice"))
    if "@" in pack.task_id or ":" in pack.task_id:
        found.append(("task_id", "must not hold @ or :, which name variants"))
    return found + _retrieval_disagreements(pack) + _schema_disagreements(pack)


def _retrieval_disagreements(pack: TaskPack) -> list[tuple[str, str]]:
    template = "{passages}{question}" if pack.retrieval is None else pack.retrieval.template
    if "{passages}" in template and "{question}" in template:
        return []
    return [("retrieval.template", "must hold {passages} and {question}, the places of both")]


def _schema_disagreements(pack: TaskPack) -> list[tuple[str, str]]:
    schema, field = pack.answer_schema, pack.answer_field
    if schema is None:
        return [("answer_field", "names a field, but there is no answer_schema")] if field is not None else []
    if not isinstance(schema.get("$schema", ""), str):
        return [("answer_schema", "is not a JSON Schema: its $schema is no text")]
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        return [("answer_schema", f"is not a JSON Schema: {error.message}")]
    properties = schema.get("properties")
    if field is not None and (not isinstance(properties, dict) or field not in properties):
        return [("answer_field", f"{field} is not among the properties of answer_schema")]
    return []
