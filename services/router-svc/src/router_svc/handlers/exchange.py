"""One inference from its question to its event: a state machine whose steps are callbacks, so that nothing is awaited."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from loopwright.errors import NotFound, PlatformError
from router_svc.adapters.connections import ServerConnection
from router_svc.adapters.failures import BackendFailed, EndpointUnserved
from router_svc.adapters.tallies import TALLIES
from router_svc.adapters.tracing import Trail, end_span
from router_svc.adapters.upstream import Call, Inquiry, Whole
from router_svc.domain.asking import Prompt, json_of
from router_svc.domain.callers import Caller
from router_svc.domain.contents import Content, texts_of
from router_svc.domain.endpoints import KINDS, Splicer
from router_svc.domain.escapes import storable
from router_svc.domain.headers import for_client, lines_of
from router_svc.domain.shapes import NOTHING, Answer, Completed, Texts
from router_svc.domain.snapshot import Route
from router_svc.handlers.recording import Journal
from router_svc.handlers.serving import BROKEN_OFF, CLIENT_GONE, Serving

_UNREAD: Final = Answer()
_NOTHING: Final = NOTHING
_clock: Final = time.perf_counter
_time: Final = time.time
_STREAM_BROKEN = (
    b'data: {"error":{"message":"the model\'s server stopped in its answer","type":"server_error","param":null,'
    b'"code":"router.stream-broken"}}\n\n'
)


class Reply(Protocol):
    """Where an answer goes; whoever speaks HTTP with the client implements it. `headers` are lines, each with its end."""

    def whole(self, status: int, headers: bytes, body: bytes) -> None: ...
    def start(self, status: int, headers: bytes) -> None: ...
    def write(self, chunk: bytes) -> None: ...
    def end(self, chunk: bytes) -> None: ...
    def refuse(self, error: PlatformError) -> None: ...


class Room(Protocol):
    """Where an exchange takes up a place until it has ended."""

    def leave(self, exchange: "Exchange") -> None: ...


class Exchange:
    """One request and its answer.

    Args:
        after: Called when everything is over.
        shadow_of: Inference whose request this is a copy of.

    Attributes:
        status: HTTP status of the answer once it is whole; CLIENT_GONE or BROKEN_OFF if it never was.
    """

    __slots__ = ("_after", "_answer", "_asked", "_call", "_copied_bytes", "_copy", "_ended_s", "_error", "_extras", "_first_s",
                 "_forwarded", "_inference_id", "_journal", "_kind", "_last", "_reply", "_room", "_served", "_serving",
                 "_shadow_of", "_splicer", "_started_ns", "_started_s", "_streamed", "_targets_asked", "_trail", "_type",
                 "_waited_s", "caller", "over", "prompt", "route", "status", "unit_hash")  # fmt: skip

    def __init__(  # noqa: PLR0913 - all that is known when a request becomes an inference
        self, serving: Serving, *, journal: Journal, room: Room, reply: Reply, caller: Caller, route: Route,
        prompt: Prompt, unit_hash: str, trail: Trail, started_ns: int, started_s: float,
        forwarded: bytes, shadow_of: str | None = None,
        after: Callable[["Exchange"], None] | None = None,
    ) -> None:  # fmt: skip
        self._serving = serving
        self._journal = journal
        self._room = room
        self._reply: Reply | None = reply
        self.caller = caller
        self.route = route
        self.prompt = prompt
        self._inference_id: str | None = None
        self.unit_hash = unit_hash
        self._trail = trail
        self._started_ns = started_ns
        self._started_s = started_s
        self._forwarded = forwarded
        self._shadow_of = shadow_of
        self._after = after
        self._kind = KINDS[prompt.endpoint]
        self._served = route.targets[0]
        self._targets_asked = 0
        self._call: Call | None = None
        self._splicer: Splicer | None = None
        self._copy: list[bytes] = []
        self._copied_bytes = 0
        self._first_s: float | None = None
        self._waited_s = self._ended_s = 0.0
        self._streamed = False
        self._type = b"application/json"
        self._extras: list[tuple[bytes, bytes]] = []
        self._last = b""
        self._error: PlatformError | None = None
        self._answer = _UNREAD
        self._asked: Texts | None = None  # the conversation for the event, but for the answer
        self.status = 500
        self.over = False

    @property
    def inference_id(self) -> str:
        """Issued when it is first needed: nobody waits for it before the model is asked."""
        if self._inference_id is None:
            self._inference_id = self._serving.issue(self.route, self.caller, self.unit_hash, self._started_ns)
        return self._inference_id

    @property
    def traceparent(self) -> str | None:
        return self._trail.traceparent

    def ask(self) -> None:
        """Asks the next target: the assigned variant, then the champion."""
        if not self._targets_asked:
            self._waited_s = _clock() - self._started_s
        self._ask_next(None)

    def _ask_next(self, error: BackendFailed | None) -> None:
        while self._targets_asked < len(self.route.targets):
            target = self.route.targets[self._targets_asked]
            self._targets_asked += 1
            self._served = target
            inquiry = Inquiry(
                target=target,
                path=self._kind.path,
                headers=self._forwarded,
                body=self.prompt.body_for(target),
                conversation=self.prompt.conversation() if len(target.backend_urls) > 1 else None,
                may_lack=self._kind.may_lack,
            )
            self._call = self._serving.upstream.call(inquiry, self)
            if self._call is not None or self.over:
                return
        if isinstance(error, EndpointUnserved):
            self._error = NotFound(error.code, error.detail)
            self._end(404)
        else:
            unasked = BackendFailed("router.backend-failed", "no server of this variant can be asked now")
            self._error = error or unasked
            self._end(503)

    def abandon(self) -> None:
        """The client is gone: the model stops at once."""
        self._reply = None
        if not self.over:
            if self._call is not None:
                self._call.close()
            self._end(CLIENT_GONE)

    def stop(self, error: PlatformError) -> None:
        """We end: an answer that has not begun is refused, one that has begun breaks off."""
        if self.over:
            return
        if self._call is not None:
            self._call.close()
        if self._first_s is None:
            self._error = error
            self._end(503)
        else:
            self.broken()

    def pause(self) -> None:
        """The client reads too slowly: the model's server has to wait."""
        if self._call is not None and not self.over:
            self._call.pause()

    def resume(self) -> None:
        if self._call is not None and not self.over:
            self._call.resume()

    # what the call reports

    def answered(self, answer: Whole) -> None:
        self._note_first()
        self._copy.append(answer.body)
        self._copied_bytes = len(answer.body)
        self._type, self._extras = answer.content_type, answer.extras
        self._end(answer.status)

    def begun(self, connection: ServerConnection) -> None:
        self._note_first()
        self._streamed = True
        self._type, self._extras = connection.content_type, connection.extras
        self._splicer = self._kind.splicer(self.inference_id, self.prompt.adds_usage)
        if self._reply is not None:
            self._reply.start(connection.status, self._headers())

    def piece(self, chunk: bytes) -> None:
        self._copied_bytes += len(chunk)
        if self._copied_bytes <= self._serving.limits.copy_bytes:
            self._copy.append(chunk)
        else:
            self._copy.clear()
        splicer, reply = self._splicer, self._reply
        assert splicer is not None
        passed = splicer.feed(chunk)
        if passed and reply is not None:
            reply.write(passed)

    def ended(self) -> None:
        assert self._splicer is not None
        self._last = self._splicer.finish()
        self._end(200)

    def failed(self, error: BackendFailed) -> None:
        self._ask_next(error)

    def broken(self) -> None:
        self._last = _STREAM_BROKEN
        self._end(BROKEN_OFF)

    def _note_first(self) -> None:
        self._first_s = _clock() - self._started_s

    def _end(self, status: int) -> None:
        self.status = status
        self.over = True
        self._ended_s = _clock() - self._started_s
        self._journal.add(self)

    def prepare(self) -> None:
        """Does what an answer will need while there is none yet."""
        _ = self.inference_id
        task = self.route.task
        if self._asked is None and task.store_content and not (task.mask_content or task.seal_content):
            written = self.prompt.written
            self._asked = Texts(written.input_apart(), written.messages())

    # what the journal asks, one after the other

    def read(self) -> None:
        """Reads the answer."""
        copy = self._copy
        if self._copied_bytes > self._serving.limits.copy_bytes:
            copy = []
        self._answer = self._kind.read(copy[0] if len(copy) == 1 else b"".join(copy), self._streamed)

    def completed(self, now: str) -> tuple[Completed, Texts]:
        """The event."""
        self.prepare()
        route, answer = self.route, self._answer
        first_s, latency_s = self._first_s, self._ended_s
        completed = Completed(
            inference_id=self.inference_id,
            task_id=route.task.task_id,
            task_version=route.task.version,
            experiment_id=route.experiment_id,
            variant_id=route.variant_id,
            served_variant_id=self._served.variant_id,
            pinned=route.pinned,
            epoch=route.epoch,
            arm=route.arm,
            propensity_0_1=route.propensity_0_1,
            shadow_of=self._shadow_of,
            tenant=self.caller.tenant,
            fallback=self._served.variant_id != route.variant_id,
            unit_hash=self.unit_hash,
            http_status=self.status,
            finish_reason=answer.finish_reason,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            first_byte_ms=None if first_s is None else first_s * 1000,
            latency_ms=latency_s * 1000,
            completed_at=now,
        )
        texts = self._asked
        if texts is not None:
            texts.answer = storable(_NOTHING if answer.text is None else json_of(answer.text))
        elif route.task.store_content:
            texts = self._concealed(completed, answer)
        else:
            texts = Texts()
        return completed, texts

    def _concealed(self, completed: Completed, answer: Answer) -> Texts:
        content = Content(user_input=self.prompt.user_input, turns=self.prompt.turns, answer=answer.text)
        concealed = self._serving.conceal(self.route.task, content, self.inference_id)
        completed.sealed_content = concealed.sealed
        return Texts() if concealed.content is None else texts_of(concealed.content)

    def finish(self) -> None:
        """It is on record: the last bytes go."""
        self._room.leave(self)
        answer = self._answer
        tokens = (answer.prompt_tokens or 0) + (answer.completion_tokens or 0)
        self.caller.leave(_time(), tokens=tokens)
        reply, self._reply = self._reply, None
        if reply is None:
            pass  # the client is gone
        elif self._error is not None:
            reply.refuse(self._error)
        elif self._streamed:
            reply.end(self._last)
        else:
            reply.whole(self.status, self._headers(), self._kind.with_id(self._copy[0], self.inference_id))

    def observe(self) -> None:
        """The last bytes have gone."""
        answer = self._answer
        self._count(answer)
        if self._trail.span is not None:
            self._end_span(answer)
        self._call = None  # it knows this exchange: without the circle, nothing has to be collected
        if self._after is not None:
            self._after(self)

    def _headers(self) -> bytes:
        lines = b"content-type: %b\r\nx-loopwright-inference-id: %b\r\nx-loopwright-variant: %b\r\n" % (
            self._type, self.inference_id.encode(), self._served.variant_id.encode()
        )  # fmt: skip
        if self._trail.traceparent is not None:
            lines += b"traceparent: %b\r\n" % self._trail.traceparent.encode()
        if self._extras:
            lines += lines_of(for_client(self._extras))
        return lines

    def _count(self, answer: Answer) -> None:
        tally = TALLIES.of(self.route.task.task_id, self._served.variant_id)
        outcome = self._outcome()
        tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + 1
        tally.durations_s.observe(self._ended_s)
        if self._first_s is not None:
            tally.first_bytes_s.observe(self._first_s)
        if answer.prompt_tokens is not None:
            tally.tokens_read.observe(answer.prompt_tokens)
        if answer.completion_tokens is not None:
            tally.tokens_written.observe(answer.completion_tokens)

    def _outcome(self) -> str:
        status = self.status
        if status < 400:
            return "fallback" if self._served.variant_id != self.route.variant_id else "answered"
        if status == CLIENT_GONE:
            return "gone"
        if status == BROKEN_OFF:
            return "broken"
        return "refused" if status < 500 else "failed"

    def _end_span(self, answer: Answer) -> None:
        assert self._trail.span is not None
        attributes: dict[str, str | int | float] = {
            "loopwright.inference_id": self.inference_id,
            "loopwright.task_id": self.route.task.task_id,
            "loopwright.variant_id": self._served.variant_id,
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": self._served.served_name,
            "http.response.status_code": self.status,
        }
        if answer.prompt_tokens is not None:
            attributes["gen_ai.usage.input_tokens"] = answer.prompt_tokens
        if answer.completion_tokens is not None:
            attributes["gen_ai.usage.output_tokens"] = answer.completion_tokens
        first_s = self._ended_s if self._first_s is None else self._first_s
        sent_s = min(first_s, max(self._waited_s, 0.0 if self._call is None else self._call.sent_s - self._started_s))
        phases = [
            ("wait", 0.0, self._waited_s), ("connect", self._waited_s, sent_s), ("first token", sent_s, first_s),
            ("stream", first_s, self._ended_s),
        ]  # fmt: skip
        end_span(self._trail.span, attributes, started_ns=self._started_ns, phases=phases)
