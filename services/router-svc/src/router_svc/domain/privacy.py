"""What of a conversation an event may carry: everything, masked, or nothing that can be read."""

from dataclasses import replace

import msgspec

from loopwright.personal.findings import ShapeFinder
from loopwright.personal.masking import mask_texts
from router_svc.domain.contents import Content

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
    """As a sealed event holds it; PostgreSQL keeps no U+0000, so the replacement character stands for it."""
    messages = [{"role": turn.role, "content": _storable(turn.text)} for turn in content.turns]
    said, last = content.user_input, next((turn.text for turn in reversed(content.turns) if turn.role == "user"), None)
    texts = {
        "input": None if said is None or said == last else _storable(said),
        "messages": messages,
        "answer": content.answer and _storable(content.answer),
    }
    return msgspec.json.encode(texts)


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd")
