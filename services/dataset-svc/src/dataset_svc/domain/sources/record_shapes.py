"""Recognises the shapes in which people keep training data, record by record, and brings each to one form.

Chat messages (OpenAI), ShareGPT, Alpaca, prompt/completion, preference pairs and thumbs, as TRL and LLaMA-Factory
document them.
"""

from collections.abc import Sequence
from typing import cast

from dataset_svc.domain.sources.record_turns import (
    Turns,
    flat_metadata,
    json_text,
    label_of,
    list_of,
    read_answer,
    read_text,
    read_turns,
)
from dataset_svc.domain.sources.records import Fault, Fields

_CONVERSATIONS = ("messages", "conversations", "conversation")
_PROMPTS = ("instruction", "prompt", "question", "query", "input")
_CONTEXTS = ("input", "context")
_ANSWERS = ("output", "completion", "response", "answer")
_SYSTEMS = ("system", "system_prompt")
_THUMBS = ("thumb", "kto_tag", "label")
_MEDIA = ("images", "videos", "audios", "image", "video", "audio")
_AS_THEY_ARE = ("sample_id", "task_id", "source", "inference_id", "unit_hash")
_YES, _NO = frozenset({"true", "yes"}), frozenset({"false", "no"})
_UNKNOWN = (
    "of no known shape: messages, conversations, instruction and output, prompt and completion, or chosen and rejected"
)


def standard_fields(record: Fields) -> Fields:
    """The fields of `Record`, not yet checked for their types.

    Raises:
        Fault: the record has no known shape, or a part of it cannot be read.
    """
    for name in _MEDIA:
        if record.get(name):
            raise Fault(name, "only text can be learned")
    found: Fields = {name: record[name] for name in _AS_THEY_ARE if _given(record.get(name))}
    found["rating_ids"] = list_of(record.get("rating_ids"), "rating_ids")
    found["weight_0_1"] = _weight(record.get("weight_0_1"))
    turns, rejected = _conversation(record)
    found["messages"] = _with_system(record, turns)
    found["rejected"] = rejected
    found["thumb"] = _thumb(record)
    if any(name in record for name in _CONVERSATIONS) and record.get("input") is not None:
        found["input"] = record["input"]
    found["tools"] = json_text(record.get("tools"), field="tools")
    metadata = flat_metadata(record.get("metadata"))
    found["metadata"] = metadata or None
    for name in ("category", "group"):
        found[name] = label_of(record.get(name), metadata, name)
    return found


def _conversation(record: Fields) -> tuple[Turns, str | None]:
    """All turns up to the answer, and the answer that was liked less."""
    paired = _given(record.get("chosen")) or _given(record.get("rejected"))
    name = _first(record, _CONVERSATIONS)
    if name is not None:
        turns = read_turns(record[name], name)
        return _paired(record, turns) if paired else (turns, None)
    asked = _first(record, _PROMPTS)
    if paired:
        return _paired(record, [] if asked is None else _question(record, asked))
    if asked is None:
        raise Fault("line", _UNKNOWN)
    answered = _first(record, _ANSWERS)
    if answered is None:
        present = next((one for one in _ANSWERS if one in record), None)
        raise Fault(present or "line", "the answer is empty" if present else _UNKNOWN)
    return [*_question(record, asked), *read_answer(record[answered], answered)], None


def _question(record: Fields, name: str) -> Turns:
    """The turns before the answer of a record that is no conversation."""
    if isinstance(record[name], list):
        return read_turns(record[name], name)
    text = read_text(record[name], name)
    context = next((one for one in _CONTEXTS if one != name and _given(record.get(one))), None)
    if context is not None:
        text = f"{text}\n{read_text(record[context], context)}"
    return [*_history(record.get("history")), {"role": "user", "content": text}]


def _history(value: object) -> Turns:
    """Alpaca's earlier rounds: pairs of question and answer."""
    turns: Turns = []
    for place, pair in enumerate(list_of(value, "history")):
        if not isinstance(pair, list) or len(cast("list[object]", pair)) != len(("asked", "answered")):
            raise Fault(f"history[{place}]", "not a pair of question and answer")
        asked, answered = cast("list[object]", pair)
        turns.append({"role": "user", "content": read_text(asked, f"history[{place}][0]")})
        turns.append({"role": "assistant", "content": read_text(answered, f"history[{place}][1]")})
    return turns


def _paired(record: Fields, before: Turns) -> tuple[Turns, str]:
    for name in ("chosen", "rejected"):
        if not _given(record.get(name)):
            raise Fault(name, "missing")
    chosen, rejected = (read_answer(record[name], name) for name in ("chosen", "rejected"))
    shared = _shared_turns(chosen, rejected)
    if shared and not before:
        before = chosen[:shared]  # both hold the whole conversation, and nothing else does
    last_chosen, last_rejected = chosen[shared:], rejected[shared:]
    if len(last_chosen) != 1 or len(last_rejected) != 1:
        raise Fault("chosen", "chosen and rejected differ in more than one answer")
    liked_less = last_rejected[0]["content"]
    if not isinstance(liked_less, str) or not liked_less.strip():
        raise Fault("rejected", "the answer is empty")
    if last_rejected[0] == last_chosen[0]:
        raise Fault("rejected", "the same as chosen")
    if before and before[-1]["role"] == "assistant":
        raise Fault("messages", "an answer stands before the chosen one")
    return [*before, *last_chosen], liked_less


def _shared_turns(chosen: Turns, rejected: Turns) -> int:
    """Turns that both begin with, the last of each never counted."""
    shortest = min(len(chosen), len(rejected)) - 1
    return next((place for place in range(shortest) if chosen[place] != rejected[place]), max(shortest, 0))


def _with_system(record: Fields, turns: Turns) -> Turns:
    name = _first(record, _SYSTEMS)
    if name is None or (turns and turns[0]["role"] == "system"):
        return turns
    return [{"role": "system", "content": read_text(record[name], name)}, *turns]


def _thumb(record: Fields) -> bool | None:
    for name in _THUMBS:
        value = record.get(name)
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, str | int) else ""
        if word in _YES or (word == "1" and name != "label"):
            return True
        if word in _NO or (word == "0" and name != "label"):
            return False
        if word and name != "label":  # `label` is also what classes of all kinds are called
            raise Fault(name, "neither true nor false")
    return None


def _weight(value: object) -> object:
    """Tables hold it as text."""
    if value == "":
        return None
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError as error:
        raise Fault("weight_0_1", "not a number") from error


def _first(record: Fields, names: Sequence[str]) -> str | None:
    return next((name for name in names if _given(record.get(name))), None)


def _given(value: object) -> bool:
    return value is not None and value not in ("", [], ())
