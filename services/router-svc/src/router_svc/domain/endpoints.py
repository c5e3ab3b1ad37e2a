"""One table of the endpoints that models answer: how each is asked, spliced and read. A new endpoint is a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from router_svc.domain.answers import read_answer
from router_svc.domain.asking import Prompt, Rebuilt, Written
from router_svc.domain.embeddings_api import read_embeddings, texts_of
from router_svc.domain.prompts import apply_to_chat, apply_to_completion
from router_svc.domain.questions import Endpoint, Question
from router_svc.domain.responses_api import (
    ResponseSplicer,
    Surroundings,
    read_response,
    surround,
    with_default,
    with_response_id,
)
from router_svc.domain.shapes import Answer
from router_svc.domain.snapshot import Task
from router_svc.domain.splicing import StreamSplicer, with_id


class Splicer(Protocol):
    """Puts our id into a stream."""

    def feed(self, chunk: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one endpoint speaks.

    Attributes:
        path: Below a server's address.
        apply: Puts the task around a request; raises Invalid where it cannot be read.
        with_id: A whole answer with our id in place of its own.
        splicer: For a stream; told whether to leave out the closing token counts.
        read: The copy of an answer; told whether it was a stream.
        may_lack: Whether a server of models may lack it.
    """

    path: str
    apply: Callable[[Task, Question], Prompt]
    with_id: Callable[[bytes, str], bytes]
    splicer: Callable[[str, bool], Splicer]
    read: Callable[[bytes, bool], Answer]
    may_lack: bool = False


def _apply_to_embeddings(_task: Task, question: Question) -> Prompt:
    return Prompt(
        endpoint=question.endpoint,
        streamed=False,
        adds_usage=False,
        written=Written.of(texts_of(question.fields), ()),
        body=Rebuilt(question.fields, None),
    )


def _apply_to_responses(task: Task, question: Question) -> Prompt:
    around = Surroundings(system=task.system, template=task.user_template, response_format=task.response_format)
    surrounded = surround(question.fields, around)
    return Prompt(
        endpoint=question.endpoint,
        streamed=question.streamed,
        adds_usage=False,
        written=Written.of(surrounded.user_input, surrounded.turns),
        body=Rebuilt(surrounded.fields, with_default),
    )


def _chat_splicer(inference_id: str, drop_usage: bool) -> Splicer:  # noqa: FBT001 - as the table has it
    return StreamSplicer(inference_id, drop_usage=drop_usage)


def _read_chat(content: bytes, streamed: bool) -> Answer:  # noqa: FBT001 - as the table has it
    return read_answer(content, streamed=streamed)


KINDS: Final[Mapping[Endpoint, Kind]] = {
    Endpoint.CHAT: Kind(
        path="/v1/chat/completions", apply=apply_to_chat, with_id=with_id, splicer=_chat_splicer, read=_read_chat
    ),
    Endpoint.COMPLETION: Kind(
        path="/v1/completions", apply=apply_to_completion, with_id=with_id, splicer=_chat_splicer, read=_read_chat
    ),
    Endpoint.EMBEDDINGS: Kind(
        path="/v1/embeddings",
        apply=_apply_to_embeddings,
        with_id=lambda body, _: body,  # has none
        splicer=_chat_splicer,
        read=lambda content, _: read_embeddings(content),
        may_lack=True,
    ),
    Endpoint.RESPONSES: Kind(
        path="/v1/responses",
        apply=_apply_to_responses,
        with_id=with_response_id,
        splicer=lambda inference_id, _: ResponseSplicer(inference_id),
        read=lambda content, streamed: read_response(content, streamed=streamed),
        may_lack=True,
    ),
}


def apply_task(task: Task, question: Question) -> Prompt:
    """Puts the task around the request.

    Raises:
        Invalid: the request is not what the OpenAI API takes.
    """
    return KINDS[question.endpoint].apply(task, question)
