"""Whether an answer has the form that it must have: JSON that parses, the task's schema, closed fences, roles in order."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np
from jsonschema import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from dataset_svc.domain.quality.kinds import Kinds
from dataset_svc.domain.quality.lexicon_phrases import Phrase
from dataset_svc.domain.quality.measuring import Flags, Measures
from dataset_svc.domain.quality.profiles import FENCES
from dataset_svc.domain.quality.verdicts import Verdict
from dataset_svc.domain.samples import Sample, Turn
from loopwright.contracts.base import JsonObject
from loopwright.errors import Invalid

_TOOL_ROLES: Final = frozenset({"tool", "function", "observation", "function_call", "tool_call"})
_PREFACES: Final = frozenset({"system", "developer"})
_JSON: Final = msgspec.json.Decoder()


class AnswerSchema:
    """A task's JSON Schema of answers; equal answers are checked once per batch.

    Raises:
        Invalid: When the schema is none, or refers to what is not in it; nothing is ever fetched.
    """

    def __init__(self, schema: JsonObject) -> None:
        try:
            validator = validator_for(schema)
            validator.check_schema(schema)
            # an empty registry, for the default one would fetch references over the network
            self._validator: Validator = validator(schema, registry=Registry())
        except (SchemaError, RecursionError) as error:
            raise Invalid("quality.bad-answer-schema", "the task's answer schema is no valid JSON Schema") from error
        self._is_text = schema.get("type") == "string"

    def satisfied(self, answers: Sequence[str]) -> Flags:
        """Whether each answer is JSON that satisfies the schema [answers]; plain text may satisfy `type: string`."""
        seen: dict[str, bool] = {}
        for answer in answers:
            if answer not in seen:
                seen[answer] = self._accepts(answer)
        return np.fromiter((seen[answer] for answer in answers), dtype=np.bool_, count=len(answers))

    def _accepts(self, answer: str) -> bool:
        try:
            value = _JSON.decode(answer)
        except (msgspec.DecodeError, ValueError, RecursionError):
            if not self._is_text:
                return False
            value = answer
        try:
            return bool(self._validator.is_valid(value))
        except (Unresolvable, RecursionError) as error:
            raise Invalid("quality.bad-answer-schema", "the task's answer schema refers to what it lacks") from error


def score_format(samples: Sequence[Sample], measures: Measures, kinds: Kinds, schema: AnswerSchema | None) -> Verdict:
    """Scores format; without a schema, JSON must parse and fences must close."""
    verdict = Verdict.of(len(samples))
    fences, phrases = measures.answer.profile[:, FENCES], measures.answer.phrases
    verdict.lower("format.open-fence", fences % 2 == 1, to=0.4)
    templates = (phrases[:, Phrase.TEMPLATE] > 0) & (fences == 0)
    verdict.lower("format.template", templates, to=0.3)
    ordered = np.array([_is_in_order(sample.messages) for sample in samples], dtype=np.bool_)
    verdict.lower("format.role-order", ~ordered, to=0.3)
    if schema is not None:
        verdict.lower("format.schema", ~schema.satisfied([sample.answer for sample in samples]), to=0.0)
    else:
        verdict.lower("format.broken-json", kinds.structured & ~_parses(samples, kinds.structured), to=0.2)
    return verdict


def _parses(samples: Sequence[Sample], structured: Flags) -> Flags:
    parses = np.ones(len(samples), dtype=np.bool_)
    for place in np.flatnonzero(structured).tolist():
        parses[place] = _is_json(samples[place].answer)
    return parses


def _is_json(text: str) -> bool:
    """Whether it is JSON; text such as `[note] see below` begins like it and is not meant as such."""
    try:
        _JSON.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        start = text.lstrip()[1:2]
        return text.lstrip().startswith("[") and not (start in '"{[-' or start.isdigit() or start.isspace())
    return True


def _is_in_order(turns: Sequence[Turn]) -> bool:
    if 2 <= len(turns) <= 3 and turns[-1].role == "assistant" and turns[-2].role == "user":  # most samples
        return len(turns) == 2 or turns[0].role in _PREFACES
    return has_roles_in_order(tuple([turn.role for turn in turns]))


@lru_cache(maxsize=4096)
def has_roles_in_order(roles: tuple[str, ...]) -> bool:
    """System first if at all, then the user; nobody speaks twice in a row but tools; the assistant has the last word."""
    turns = list(roles)
    while turns and turns[0] in _PREFACES:
        turns.pop(0)
    if len(turns) < 2 or turns[0] != "user" or turns[-1] != "assistant":
        return False
    if any(turn not in _TOOL_ROLES and turn not in {"user", "assistant"} for turn in turns):
        return False
    return all(before != after or before in _TOOL_ROLES for before, after in pairwise(turns))
