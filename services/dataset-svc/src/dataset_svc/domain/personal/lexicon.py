"""How the lists of words beside this module are written down."""


def lexicon(text: str) -> frozenset[str]:
    """The words between spaces and line breaks."""
    return frozenset(text.split())
