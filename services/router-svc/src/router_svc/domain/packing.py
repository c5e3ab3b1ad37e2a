"""Names inside an inference id: packed as digits of base 68, a quarter shorter than their bytes would be.

An id has room for 96 bytes of names. A name of the platform has 67 possible characters, 6.09 bits each, where a byte
takes 8: so 125 characters fit instead of 96.
"""

from functools import lru_cache

MAX_NAMES_BYTES = 96
TASK_CHARACTERS = 40
EXPERIMENT_CHARACTERS = 36  # as many as a UUID has
VARIANT_CHARACTERS = 47  # a model named as its task, a colon, six digits of version

_CHARACTERS = "-.0123456789:@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_CODES = {character: code for code, character in enumerate(_CHARACTERS, start=1)}
_BASE = len(_CHARACTERS) + 1  # 0 stands between two names


@lru_cache(maxsize=4096)
def pack_names(names: tuple[str, ...]) -> bytes:
    """Packs names; an empty one stays empty.

    Raises:
        ValueError: a character that no name of the platform has, or too much for an id.
    """
    number = 1  # a leading digit that keeps leading separators
    for position, name in enumerate(names):
        if position:
            number *= _BASE
        for character in name:
            if character not in _CODES:
                raise ValueError(f"{character!r} is not a character of names")
            number = number * _BASE + _CODES[character]
    packed = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if len(packed) > MAX_NAMES_BYTES:
        raise ValueError(f"names need {len(packed)} bytes of an id, there are {MAX_NAMES_BYTES}")
    return packed


@lru_cache(maxsize=4096)
def unpack_names(packed: bytes) -> tuple[str, ...]:
    number = int.from_bytes(packed, "big")
    names: list[str] = []
    characters: list[str] = []
    while number > 1:
        number, code = divmod(number, _BASE)
        if code:
            characters.append(_CHARACTERS[code - 1])
        else:
            names.append("".join(reversed(characters)))
            characters = []
    names.append("".join(reversed(characters)))
    return tuple(reversed(names))
