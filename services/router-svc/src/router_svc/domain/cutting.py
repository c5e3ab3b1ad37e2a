"""Puts a task into the bytes of a chat request without writing the rest anew: long prompts are not copied about.

It is done only where every place is certain; `prompts.py` rebuilds all other requests from their fields.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from loopwright.errors import Invalid
from router_svc.domain.asking import Prompt, Written, json_of
from router_svc.domain.escapes import has_escape
from router_svc.domain.questions import Question
from router_svc.domain.shapes import NOTHING, AskedChat, AskedMessage
from router_svc.domain.snapshot import Target, Task

_SHORT_BYTES: Final = 2048  # of a body, which is searched as a whole
_NEEDLE_BYTES: Final = 64
_BEFORE_VALUES: Final = frozenset({b":", b" "})
_ROLE_CHARACTERS = 32  # what an event keeps of a role
_SEARCHED_BYTES: Final = 2048  # longer texts cost more to find in the body than to write anew
_USAGE_WANTED: Final = b'"stream_options":{"include_usage":true},'
_IDENTITY: Final = "{input}"
_NULL: Final = msgspec.Raw(NOTHING)
_UNSET: Final = msgspec.UNSET


def _key(name: str) -> str:
    """Pattern of a JSON key in any of its spellings."""
    letters = "".join(f"(?:{letter}|\\\\u00{ord(letter):02x}|\\\\u00{ord(letter):02X})" for letter in name)
    return rf'"{letters}"[ \t\r\n]*:[ \t\r\n]*'


_MODEL_KEY: Final = b'"model"'
_NAMED: Final = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*("[^"\\]*")')  # what follows the key
_MODEL: Final = re.compile((_key("model") + r'("[^"\\]*")').encode())
_MESSAGES: Final = re.compile((_key("messages") + r"\[").encode())
Edit = tuple[int, int, bytes | None]  # from, to, what stands there instead; None is the model's name


class Cut:
    """The body as it came, with a few places changed."""

    __slots__ = ("_body", "_chat", "_edits", "_prefix")

    def __init__(self, body: bytes, chat: AskedChat, edits: list[Edit], prefix: bytes) -> None:
        self._body = body
        self._chat = chat
        self._edits = edits
        self._prefix = prefix

    def for_target(self, target: Target) -> list[bytes]:
        body = self._body
        place = body.index(b"{") + 1
        pieces = [b"{", self._defaults(target), self._prefix]
        for start, end, text in self._edits:
            pieces += (body[place:start], _name(target.served_name) if text is None else text)
            place = end
        pieces.append(body[place:])
        return pieces

    def _defaults(self, target: Target) -> bytes:
        """Fields before the client's: none that the client sent."""
        chat = self._chat
        fields = b""
        for name, value in target.defaults.items():
            if getattr(chat, name) is not _UNSET:
                continue
            if name == "max_tokens" and chat.max_completion_tokens is not _UNSET:
                continue
            fields += _field(name, value)
        return fields


class _Searched:
    """The part of a body in which keys may stand: all of it but for a text that is long.

    No key is inside of that text, wherever its bytes are found: there is no quote but its first and its last one, and
    what stands before it is no end of a key.
    """

    __slots__ = ("_end", "_start", "_text")

    def __init__(self, body: bytes, turns: Sequence[tuple[bytes, bytes]]) -> None:
        self._text = body
        self._start = self._end = 0
        if len(body) < _SHORT_BYTES or not turns:
            return
        text = max((text for _, text in turns), key=len)
        start = body.find(text[:_NEEDLE_BYTES])
        if (
            len(text) >= _SHORT_BYTES // 2
            and body.startswith(text, start)
            and body[start - 1 : start] in _BEFORE_VALUES
        ):
            self._start, self._end = start, start + len(text)
            self._text = body[:start] + body[self._end :]

    def model(self) -> Edit | None:
        """Where the model's name stands, if that is certain."""
        text = self._text
        if has_escape(text) or text.count(_MODEL_KEY) != 1:
            return self.only(_MODEL, group=1)
        # without escapes a key has one spelling: this is the only place
        found = _NAMED.match(text, text.index(_MODEL_KEY) + len(_MODEL_KEY))
        return None if found is None else self._edit(found, group=1)

    def only(self, pattern: re.Pattern[bytes], *, group: int) -> Edit | None:
        """Where a pattern is found, if that is one place alone."""
        found = pattern.search(self._text)
        if found is None or pattern.search(self._text, found.end()) is not None:
            return None
        return self._edit(found, group=group)

    def _edit(self, found: re.Match[bytes], *, group: int) -> Edit:
        start, end = found.span(group)
        shift = self._end - self._start if start >= self._start else 0
        return start + shift, end + shift, None


def cut_chat(task: Task, question: Question) -> Prompt | None:
    """Puts the task around a conversation in place; None where a place is not certain.

    Raises:
        Invalid: a message's content is not what the OpenAI API takes.
    """
    chat = question.chat
    if chat is None or chat.messages is None or _has_nulls(question.body, chat):
        return None
    turns = _turns(chat.messages)
    if turns is None:
        return None
    last = len(turns) - 1
    while last >= 0 and chat.messages[last].role != "user":
        last -= 1
    searched = _Searched(question.body, turns)
    edits, user_input = [searched.model()], None
    if last >= 0:
        user_input = turns[last][1]
        if task.user_template != _IDENTITY:
            turns[last] = (b'"user"', _rendered(task.user_template, user_input))
            edits.append(_unique(question.body, user_input, turns[last][1]))
    if task.system:
        system = _system(task.system)
        edits.append(_after(searched.only(_MESSAGES, group=0), system[0] + (b"," if turns else b"")))
        turns.insert(0, system[1])
    prefix = _prefix(task, question, chat)
    if prefix is None or None in edits:
        return None
    certain = [edit for edit in edits if edit is not None]
    certain.sort()
    return Prompt(
        endpoint=question.endpoint,
        streamed=question.streamed,
        adds_usage=question.streamed and chat.stream_options is _UNSET,
        written=Written(user_input, turns),
        body=Cut(question.body, chat, certain, prefix),
    )


def _turns(messages: Sequence[AskedMessage]) -> list[tuple[bytes, bytes]] | None:
    """Role and text of each message as JSON; None if one is composed of parts, or has no text."""
    turns = [(_ROLES.get(message.role) or _role(message.role), bytes(message.content)) for message in messages]
    for _, content in turns:
        if content[:1] != b'"':
            _refuse_strange(content)
            return None
    return turns


def _has_nulls(body: bytes, chat: AskedChat) -> bool:
    """A null counts as not sent; a field of ours before it would lose against it."""
    if len(body) < _SHORT_BYTES and body.find(NOTHING) < 0:
        return False
    return _NULL in (
        chat.stream_options, chat.response_format, chat.structured_outputs, chat.temperature, chat.top_p,
        chat.max_tokens, chat.max_completion_tokens,
    )  # fmt: skip


def _refuse_strange(content: bytes) -> None:
    if content[:1] not in {b"[", b"n"}:
        raise Invalid("router.malformed-request", "`messages` cannot be read: a content is a text or a list of parts")


def _prefix(task: Task, question: Question, chat: AskedChat) -> bytes | None:
    """Fields of the task before those of the client; None where both would have to be merged."""
    prefix = b""
    if task.response_format is not None and chat.response_format is chat.structured_outputs is _UNSET:
        prefix = b'"response_format":%b,' % task.response_format
    if not question.streamed:
        return prefix
    return prefix + _USAGE_WANTED if chat.stream_options is _UNSET else None


def _after(found: Edit | None, text: bytes) -> Edit | None:
    return None if found is None else (found[1], found[1], text)


def _unique(body: bytes, text: bytes, replacement: bytes) -> Edit | None:
    if len(text) > _SEARCHED_BYTES or body.count(text) != 1:
        return None
    start = body.index(text)
    return start, start + len(text), replacement


def _rendered(template: str, content: bytes) -> bytes:
    """The template around a text; both as JSON, so that nothing is decoded."""
    return content[1:-1].join(_pieces(template))


@lru_cache(maxsize=256)
def _pieces(template: str) -> list[bytes]:
    pieces = [json_of(piece)[1:-1] for piece in template.split("{input}")]
    return [b'"' + pieces[0], *pieces[1:-1], pieces[-1] + b'"'] if len(pieces) > 1 else [b'"' + pieces[0] + b'"']


@lru_cache(maxsize=256)
def _system(text: str) -> tuple[bytes, tuple[bytes, bytes]]:
    return json_of({"role": "system", "content": text}), (b'"system"', json_of(text))


@lru_cache(maxsize=256)
def _field(name: str, value: bytes) -> bytes:
    return b'"%b":%b,' % (name.encode(), value)


def _role(role: str) -> bytes:
    return json_of(role[:_ROLE_CHARACTERS])


_ROLES: Final = {role: _role(role) for role in ("system", "developer", "user", "assistant", "tool")}


@lru_cache(maxsize=256)
def _name(served_name: str) -> bytes:
    return json_of(served_name)
