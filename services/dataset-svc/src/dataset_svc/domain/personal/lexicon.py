"""How the lists of words beside this module are written down, and looked for."""


def lexicon(text: str) -> frozenset[str]:
    """The words between spaces and line breaks."""
    return frozenset(text.split())


def holds_any(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110 - half the time of any() over a generator
        if word in text:
            return True
    return False
