"""What a study searches: hyperparameters and the values that each may take, within the bounds of the contract itself."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import prod
from typing import Annotated, cast

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StrictBool,
    StrictFloat,
    StrictInt,
    Tag,
    ValidationError,
)

from loopwright.contracts.base import Storable, Value
from loopwright.contracts.tasks import Hyperparameters, Method
from loopwright.errors import Invalid

_MOST = 1e9  # far above every sensible setting, far below where floating point loses whole numbers
_MOST_STEPS = 10_000
_WHOLE = Annotated[StrictInt, Field(ge=-_MOST, le=_MOST)]
_REAL = Annotated[StrictFloat, Field(ge=-_MOST, le=_MOST, allow_inf_nan=False)]
_WORD = Annotated[Storable, Field(max_length=64)]
Number = _WHOLE | _REAL
Setting = StrictBool | Number | _WORD | None  # one value of one hyperparameter
Settings = Mapping[str, Setting]
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

_ADAPTER_ONLY = frozenset({"lora_rank", "lora_alpha", "lora_dropout", "rs_lora", "dora"})
_HOW_MUCH_A_STEP_LEARNS = frozenset({"batch_size", "gradient_accumulation_steps", "packing"})
_COST = "it changes speed and memory, not what is learned"
_NOT_SEARCHED = {
    "max_seq_length": "it changes what the validation loss is measured on",
    "beta": "it changes the loss itself",
    "teacher": "losses against different teachers cannot be compared",
    "seed": "the best of several seeds is luck, not a setting",
    "early_stopping_patience": "a longer patience never looks worse",
    "eval_every_steps": "trials must be evaluated at the same moments",
    "gradient_checkpointing": _COST,
    "sharding": _COST,
    "checkpoint_every_steps": _COST,
    "keep_checkpoints": _COST,
}


class SearchRange(Value):
    """All numbers between two, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Number = Field(description="least value")
    high: Number = Field(description="greatest value")
    log: bool = Field(default=False, description="search orders of magnitude evenly")
    step: Number | None = Field(default=None, description="distance between values; None: any, or 1 for whole numbers")


class SearchChoices(Value):
    """One of several values, in no order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choices: tuple[Setting, ...] = Field(min_length=2, max_length=64, description="values to choose from")


def _shape(written: object) -> str:
    return "choices" if isinstance(written, SearchChoices) or _has_choices(written) else "range"


def _has_choices(written: object) -> bool:
    return isinstance(written, dict) and "choices" in written


Searched = Annotated[
    Annotated[SearchChoices, Tag("choices")] | Annotated[SearchRange, Tag("range")], Discriminator(_shape)
]


class SearchSpace(RootModel[Annotated[dict[_Name, Searched], Field(min_length=1, max_length=16)]]):
    """Hyperparameters by name, and the values that each may take."""

    model_config = ConfigDict(frozen=True)


def checked_space(space: SearchSpace, base: Hyperparameters, *, method: Method) -> SearchSpace:
    """The space with every value of the type of its hyperparameter.

    Raises:
        Invalid: a hyperparameter cannot be searched, or a value of it is none.
    """
    return SearchSpace({name: _checked(name, one, base, method) for name, one in space.root.items()})


def _checked(name: str, searched: Searched, base: Hyperparameters, method: Method) -> Searched:
    if name not in Hyperparameters.model_fields:
        known = ", ".join(sorted(Hyperparameters.model_fields.keys() - _NOT_SEARCHED.keys()))
        raise Invalid("study.parameter-unknown", f"there is no hyperparameter {name}; there are {known}", name=name)
    reason = _NOT_SEARCHED.get(name)
    if reason is None and method == "full" and name in _ADAPTER_ONLY:
        reason = "full fine-tuning trains no adapter"
    if reason is not None:
        raise Invalid("study.parameter-not-searched", f"{name} cannot be searched: {reason}", name=name)
    if isinstance(searched, SearchRange):
        return _checked_range(name, searched, base)
    choices = tuple(_typed(name, value, base) for value in searched.choices)
    if len(set(choices)) < len(choices):
        raise Invalid("study.choices-repeated", f"the choices of {name} repeat a value", name=name)
    return SearchChoices(choices=choices)


def _checked_range(name: str, searched: SearchRange, base: Hyperparameters) -> SearchRange:
    low, high = cast("Number", _typed(name, searched.low, base)), cast("Number", _typed(name, searched.high, base))
    for wrong, why in _wrongs(SearchRange(low=low, high=high, log=searched.log, step=searched.step)):
        if wrong:
            raise Invalid("study.range-invalid", f"the range of {name} {why}", name=name)
    step = searched.step if searched.step is None or isinstance(low, int) else float(searched.step)
    return SearchRange(low=low, high=high, log=searched.log, step=step)


def _wrongs(searched: SearchRange) -> Iterable[tuple[bool, str]]:
    low, high, step = searched.low, searched.high, searched.step
    yield low >= high, f"goes from {low} to {high}: low must be below high"
    yield searched.log and low <= 0, f"begins at {low}: orders of magnitude begin above 0"
    if step is None:
        return
    yield searched.log, "has a step and is logarithmic: it can be one of the two"
    yield step <= 0, f"has the step {step}: it must be above 0"
    yield isinstance(low, int) and not isinstance(step, int), f"has the step {step}: whole numbers have whole steps"
    steps = _steps(low, high, step)
    yield steps.denominator != 1, f"from {low} to {high} is no whole number of steps of {step}"
    yield steps > _MOST_STEPS, f"has more than {_MOST_STEPS} steps"


def _steps(low: Number, high: Number, step: Number) -> Fraction:
    """How often a step fits, as the numbers are written: 0.1 fits three times between 0 and 0.3."""
    return (Fraction(str(high)) - Fraction(str(low))) / Fraction(str(step))


def _typed(name: str, value: Setting, base: Hyperparameters) -> Setting:
    """The value as the contract keeps it, where 1 of a real number is 1.0."""
    try:
        whole = Hyperparameters.model_validate({**base.model_dump(), name: value}, strict=True)
    except ValidationError as error:
        why = "; ".join(str(one["msg"]) for one in error.errors())
        raise Invalid("study.value-invalid", f"{name} cannot be {value}: {why}", name=name) from error
    return getattr(whole, name)


def check_comparable(space: SearchSpace, base: Hyperparameters) -> None:
    """Refuses pruning where equally many evaluations of two trials would not stand for equally much learning.

    Raises:
        Invalid: they would not.
    """
    uneven = sorted(_HOW_MUCH_A_STEP_LEARNS & space.root.keys())
    if base.eval_every_steps is not None and uneven:
        raise Invalid(
            "study.evaluations-not-comparable",
            f"with eval_every_steps and different {', '.join(uneven)} trials would be compared at different amounts "
            "of data: leave eval_every_steps out (they are then evaluated after each epoch), or prune nothing",
        )


def grid_points(space: SearchSpace) -> dict[str, tuple[Setting, ...]]:
    """All values of each hyperparameter, where they can be counted.

    Raises:
        Invalid: they cannot, or their combinations are too many.
    """
    counts = {name: _count(name, one) for name, one in space.root.items()}
    if prod(counts.values()) > _MOST_STEPS:
        raise Invalid("study.grid-too-large", f"the grid has {prod(counts.values())} points, of {_MOST_STEPS} at most")
    return {name: _points(one, counts[name]) for name, one in space.root.items()}


def _count(name: str, searched: Searched) -> int:
    if isinstance(searched, SearchChoices):
        return len(searched.choices)
    if searched.step is None and not isinstance(searched.low, int):
        raise Invalid("study.grid-needs-steps", f"a grid needs choices or a step of {name}", name=name)
    return int(_steps(searched.low, searched.high, searched.step or 1)) + 1


def _points(searched: Searched, count: int) -> tuple[Setting, ...]:
    if isinstance(searched, SearchChoices):
        return searched.choices
    low, step = searched.low, searched.step or 1
    if isinstance(low, int):
        return tuple(low + number * int(step) for number in range(count))
    return tuple(float(Fraction(str(low)) + number * Fraction(str(step))) for number in range(count))


def settings_of(base: Hyperparameters, chosen: Settings) -> Hyperparameters:
    """The hyperparameters of a trial.

    Raises:
        Invalid: together they are none.
    """
    try:
        return Hyperparameters.model_validate({**base.model_dump(), **chosen})
    except ValidationError as error:
        why = "; ".join(str(one["msg"]) for one in error.errors())
        raise Invalid("study.settings-invalid", f"the settings of a trial do not fit together: {why}") from error
