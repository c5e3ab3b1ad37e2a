"""What a quality score consists of, and every flaw that lowers a part, in words for people.

No flaw quotes the sample: a report of scores holds nothing personal.
"""

from enum import StrEnum

import msgspec


class Part(StrEnum):
    """The parts of a score."""

    LENGTH = "length"
    DIVERSITY = "diversity"
    FLUENCY = "fluency"
    RELEVANCE = "relevance"
    FORMAT = "format"
    LANGUAGE = "language"
    TOXICITY = "toxicity"
    BIAS = "bias"


PARTS = tuple(Part)


class Language(StrEnum):
    """What a sample is written in; `code` is program code or machine output, `none` has no letters."""

    KOREAN = "ko"
    ENGLISH = "en"
    MIXED = "mixed"
    OTHER = "other"
    CODE = "code"
    NONE = "none"


LANGUAGES = tuple(Language)


class Harm(StrEnum):
    """Kinds of toxic language."""

    PROFANITY = "profanity"
    INSULT = "insult"
    SEXUAL = "sexual"
    SLUR = "slur"
    THREAT = "threat"
    SELF_HARM = "self_harm"
    GROUP_BIAS = "group_bias"


HARMS = tuple(Harm)


class Flaw(msgspec.Struct, frozen=True):
    """Why a part is low.

    Attributes:
        code: Stable name for programs and counts.
        words: One sentence for a person.
    """

    part: Part
    code: str
    words: str


def _flaws(part: Part, **words: str) -> tuple[Flaw, ...]:
    return tuple(Flaw(part, f"{part}.{code.replace('_', '-')}", sentence) for code, sentence in words.items())


# the place of a flaw is its bit in the masks that the parts compute; 63 is the most
FLAWS: tuple[Flaw, ...] = (
    *_flaws(
        Part.LENGTH,
        empty="the answer is empty or has neither letters nor digits",
        too_short="the question asks for an explanation and the answer is only a few words",
        too_long="the answer is longer than answers of its kind should be",
        too_many_tokens="the sample has more tokens than the task allows",
        empty_question="the question is empty",
    ),
    *_flaws(
        Part.DIVERSITY,
        few_words="the answer repeats few different words",
        repeated_phrases="the answer repeats phrases of several words",
        compressible="the answer repeats itself so much that it shrinks to a fraction",
        repeated_lines="the answer repeats whole lines",
        repeated_character="one character is repeated many times in a row",
    ),
    *_flaws(
        Part.FLUENCY,
        mojibake="characters were broken by a wrong encoding",
        lone_jamo="lone Korean consonants or vowels stand where syllables should",
        misspelt="frequent spelling mistakes",
        no_function_words="it lacks the particles, endings or small words of real sentences",
        shouting="it is written in capital letters throughout",
        unbalanced="brackets or quotation marks do not close",
        unfinished="it stops in the middle of a sentence",
        implausible="its letters or syllables do not form plausible words",
        keyboard="Korean seems to be typed on an English keyboard layout",
        symbols="it consists mostly of symbols",
    ),
    *_flaws(
        Part.RELEVANCE,
        echo="the answer only repeats the question",
        off_topic="the answer shares no content with the question",
        refusal="the answer refuses or speaks about being a model instead of answering",
        boilerplate="the answer holds placeholder or boilerplate text",
    ),
    *_flaws(
        Part.FORMAT,
        broken_json="the answer starts as JSON and cannot be parsed",
        schema="the answer does not satisfy the task's JSON Schema",
        open_fence="a code fence is not closed",
        role_order="the roles of the conversation are out of order",
        template="special tokens or unfilled template slots are left in the text",
    ),
    *_flaws(
        Part.LANGUAGE,
        other_than_asked="the answer is in another language than the question",
        not_served="it is in neither Korean nor English",
    ),
    *_flaws(
        Part.TOXICITY,
        answer="the answer holds toxic language",
        question="the question holds toxic language",
    ),
    *_flaws(
        Part.BIAS,
        generalisation="it speaks ill of a group of people as such",
    ),
)
BIT = {flaw.code: place for place, flaw in enumerate(FLAWS)}
