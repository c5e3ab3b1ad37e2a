"""What is told of a version in figures: plain values that the console and the report page show as they are."""

from enum import StrEnum

from pydantic import Field

from dataset_svc.domain.samples import SplitName
from loopwright.contracts.base import Share, Value


class LengthPart(StrEnum):
    """What of a sample is measured."""

    QUESTION = "question"
    ANSWER = "answer"
    CONVERSATION = "conversation"


class LengthUnit(StrEnum):
    """What a length is counted in."""

    CHARACTERS = "characters"
    WORDS = "words"
    TOKENS = "tokens"
    TURNS = "turns"


class Bin(Value):
    """One bar of a histogram."""

    first: float = Field(description="smallest value that belongs here")
    last: float = Field(description="largest value that belongs here")
    samples: int = Field(ge=0, description="samples with such a value")


class Distribution(Value):
    """How a measure is spread. Percentiles are by nearest rank: exact below 2,048, at most 0.1 % too low above."""

    samples: int = Field(ge=1, description="samples that were measured")
    total: float = Field(description="sum over these samples")
    mean: float = Field(description="arithmetic mean")
    minimum: float = Field(description="smallest value")
    p5: float = Field(description="5 % of the samples have at most this")
    p50: float = Field(description="median")
    p95: float = Field(description="95 % of the samples have at most this")
    maximum: float = Field(description="largest value")
    bins: tuple[Bin, ...] = Field(description="histogram; the last bin may be wider and hold the longest hundredth")


class Length(Value):
    """How long one part of the samples is."""

    part: LengthPart = Field(description="what was measured")
    unit: LengthUnit = Field(description="unit of every value of the distribution")
    distribution: Distribution = Field(description="its spread")


class NamedCount(Value):
    """How many samples bear a name."""

    name: str = Field(description="category, language, source or label; cut after 200 characters")
    samples: int = Field(ge=0, description="samples in all parts")
    by_split: dict[SplitName, int] = Field(description="samples by part")


class Breakdown(Value):
    """Samples by name, the most frequent first."""

    shown: tuple[NamedCount, ...] = Field(description="at most 50 names")
    other_samples: int = Field(ge=0, description="samples with a name that is not shown")
    unnamed_samples: int = Field(ge=0, description="samples without any")
    distinct: int = Field(ge=0, description="different names; an estimate if not all were followed")
    all_followed: bool = Field(
        description="false if there were over 10,000 names: those shown are then a sample of them"
    )


class LabelField(Value):
    """A field of the answers that takes few values, as classes do."""

    field: str = Field(description="`answer` if the whole answer is the label, else the field of the answer's JSON")
    labels: Breakdown = Field(description="samples by label")
    balance_0_1: Share = Field(description="entropy over its maximum: 1 if all labels are equally frequent")


class Term(Value):
    """A word, or two words that stand side by side."""

    text: str = Field(description="lower case")
    count: int = Field(ge=1, description="how often it stands in the counted samples")


class Vocabulary(Value):
    """The words of questions and answers: rows of letters, digits and marks, in lower case."""

    words: int = Field(ge=0, description="all words")
    distinct_words: int = Field(ge=0, description="different words")
    distinct_error_0_1: Share = Field(description="relative standard error of the former; 0 if it is exact")
    counted_samples: int = Field(ge=0, description="samples, chosen by hash of their id, whose terms were counted")
    frequent_words: tuple[Term, ...] = Field(description="at most 40; words without a letter left out")
    frequent_pairs: tuple[Term, ...] = Field(description="at most 40 pairs of neighbours, as above")


class RoleCount(Value):
    """Turns of one role."""

    role: str = Field(description="system, user, assistant or tool")
    turns: int = Field(ge=0, description="turns in all samples")
    samples: int = Field(ge=0, description="samples with at least one")


class Score(Value):
    """One part of the quality score."""

    part: str = Field(description="what was scored")
    distribution: Distribution = Field(description="scores from 0 to 1, kept to a thousandth")


class Statistics(Value):
    """All figures of the samples of a version, as their text stands after masking."""

    samples: int = Field(ge=0, description="samples in all parts")
    splits: dict[SplitName, int] = Field(description="samples by part")
    lengths: tuple[Length, ...] = Field(description="by part and unit")
    categories: Breakdown = Field(description="samples by category")
    languages: Breakdown = Field(description="samples by language")
    sources: Breakdown = Field(description="samples by where they were learned from")
    roles: tuple[RoleCount, ...] = Field(description="turns by role")
    labels: tuple[LabelField, ...] = Field(description="class balance, where answers are classes")
    vocabulary: Vocabulary = Field(description="words")
    scores: tuple[Score, ...] = Field(description="quality, part by part")
    weights: Distribution | None = Field(
        description="weights from 0 to 1, kept to a thousandth; absent without samples"
    )
    duplicates: dict[str, int] = Field(description="samples that went as copies of others, by kind")
    personal_data: dict[str, int] = Field(description="findings of personal data before masking, by kind")
