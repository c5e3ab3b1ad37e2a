"""What of a conversation an event may carry: everything, masked, or nothing that can be read."""

from dataclasses import replace

from loopwright.personal.findings import ShapeFinder
from loopwright.personal.masking import mask_texts
from router_svc.domain.asking import members
from router_svc.domain.contents import Content, texts_of

_finder = ShapeFinder()


def masked(content: Content) -> Content:
    """With placeholders where personal data of a known shape stood. Names of persons have none, and stay."""
    texts = [turn.text for turn in content.turns]
    known = {text: "" for text in (*texts, content.user_input, content.answer) if text}
    for text, (plain, _) in zip(known, mask_texts(list(known), _finder), strict=True):
        known[text] = plain
    return Content(
        user_input=known.get(content.user_input or "", content.user_input),
        turns=tuple(replace(turn, text=known.get(turn.text, turn.text)) for turn in content.turns),
        answer=known.get(content.answer or "", content.answer),
    )


def as_json(content: Content) -> bytes:
    """As a sealed event holds it: what stands in an event that is not sealed."""
    return b"".join((b"{", *members(texts_of(content)), b"}"))
