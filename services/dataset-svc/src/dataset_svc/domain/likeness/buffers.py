"""What the compiled loops read and write: arrays under names. A place is a text in order of preference, best first."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

NOBODY: Final = -1  # where a place could stand


class Texts(NamedTuple):
    """UTF-8 texts in one buffer; text i is `content[starts[i]:stops[i]]`."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    content: NDArray[np.uint8]


class Affine(NamedTuple):
    """The permutations `value * factor + shift` modulo 2^32, each array [128]."""

    factors: NDArray[np.uint32]
    shifts: NDArray[np.uint32]


class Scratch(NamedTuple):
    """Room for one text of at most `len(codes) - 1` bytes."""

    codes: NDArray[np.uint32]
    words: NDArray[np.uint64]
    grams: NDArray[np.uint64]
    hashes: NDArray[np.uint32]


class Side(NamedTuple):
    """What is compared, and the room that comparing takes.

    Attributes:
        sketches: [texts, 128], the low byte of each minimum.
        width: Words in a gram; -n for n characters.
        grams: Hash set of the two texts at hand; its length is a power of two.
        stamps: By slot of `grams`, when it was written: older slots are free.
        clock: [1], the last stamp.
    """

    texts: Texts
    sketches: NDArray[np.uint8]
    width: int
    scratch: Scratch
    grams: NDArray[np.uint64]
    stamps: NDArray[np.int64]
    clock: NDArray[np.int64]


class Limits(NamedTuple):
    """From where on two texts are alike.

    Attributes:
        threshold_0_1: Least Jaccard index.
        least_matching: Sketches with fewer equal bytes are surely of texts below the threshold.
        walk: Members of one bucket that a text is compared with at most, so that crowds cost no quadratic time.
        trust_sketches: Whether the estimate from the sketches decides instead of the true index.
    """

    threshold_0_1: float
    least_matching: int
    walk: int
    trust_sketches: bool


class Groups(NamedTuple):
    """What a walk finds, by place.

    Attributes:
        parents: Union-find forest; a root is the best place of its group.
        through: The place that the text was found most alike to; -1 if none.
        likeness: Jaccard index with that place.
        answer_likeness: The same of the answers, where answers count.
        gone: Whether the sample is a near copy of `through`, which stays.
        seen: The last place that was compared with this one.
        met: By root, the last place that is to join its group.
    """

    parents: NDArray[np.int32]
    through: NDArray[np.int32]
    likeness: NDArray[np.float64]
    answer_likeness: NDArray[np.float64]
    gone: NDArray[np.bool_]
    seen: NDArray[np.int32]
    met: NDArray[np.int32]


class Dialogues(NamedTuple):
    """Questions and answers by place; places before `first_sample` are remembered questions without an answer."""

    questions: Side
    answers: Side
    first_sample: int


class Anchors(NamedTuple):
    """Grams at their places, in order.

    Attributes:
        hashes: Of the grams; this and the next two are arrays [found].
        rows: The text of each.
        places: Where in the text, in words or characters.
        grams: [texts], how many each text has in all.
    """

    hashes: NDArray[np.uint64]
    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    grams: NDArray[np.int64]


class Shared(NamedTuple):
    """Anchors that rows and cases have in common, all arrays [shared]; places as above."""

    anchors: NDArray[np.int64]
    rows: NDArray[np.int64]
    cases: NDArray[np.int64]
    row_places: NDArray[np.int64]
    case_places: NDArray[np.int64]
