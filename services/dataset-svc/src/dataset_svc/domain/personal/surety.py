"""How sure one is that a word is a name."""

from enum import IntEnum


class Surety(IntEnum):
    """How much a word needs from its neighbours to be taken for a name."""

    NONE = 0
    DOUBTFUL = 1
    WEAK = 2
    LIKELY = 3
    SURE = 4
