# ruff: noqa: INP001, T201 (a script)
"""What a request costs the router's own code: its whole path in one process, without sockets and without Kafka.

    .venv/bin/python services/router-svc/bench/in_process.py [--loads plain long stream] [--rounds 400] [--together 1] [--profile]

Bytes go into clients' connections, servers' answers go into the connections to them, and the bytes for the clients come
out; the spool is on a disk. Of many short rounds the quickest counts: processor time of the loop's thread, for a request.
"""

import argparse
import asyncio
import cProfile
import gc
import hashlib
import json
import pstats
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from platform_side import PLAIN, PROMPTED, a_split, a_task
from uvicorn import Config
from uvicorn.server import ServerState

from router_svc.adapters.board import Board
from router_svc.adapters.callers import Guard, GuardRules, KeysOnDisk
from router_svc.adapters.connections import Server, ServerConnection
from router_svc.adapters.content_seals import ContentSeals
from router_svc.adapters.memory import keep_freed_memory
from router_svc.adapters.spool import Spool, SpoolLimits
from router_svc.adapters.tracing import Tracing
from router_svc.adapters.upstream import Upstream, UpstreamRules
from router_svc.api.protocol import ClientConnection, Door, DoorLimits
from router_svc.domain.breaking import BreakerRules
from router_svc.domain.inference_ids import InferenceIds
from router_svc.handlers.answering import Answering
from router_svc.handlers.concealing import Concealer
from router_svc.handlers.serving import Limits, Nonces, Serving
from router_svc.handlers.updating import take_in

_URL = "http://127.0.0.1:9"
_KEY = "lw_" + "k" * 43
_WARM_UP = 20
_DATE = b"Sat, 22 Nov 2025 08:00:00 GMT"
_ID = b"chatcmpl-0123456789abcdef0123456789abcdef"
_ANSWER = (
    b'{"id":"%b","object":"chat.completion","created":1763700000,"model":"mock","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"%b"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":90,'
    b'"completion_tokens":30,"total_tokens":120}}' % (_ID, b"the disk of the node was full " * 5)
)
_WHOLE = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\nserver: mock\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n%b"
    % (_DATE, len(_ANSWER), _ANSWER)
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\nserver: mock\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n" % _DATE
)
_EVENT = (
    b'data: {"id":"%b","object":"chat.completion.chunk","created":1763700000,"model":"mock","choices":[{"index":0,'
    b'"delta":{"content":"word "},"logprobs":null,"finish_reason":null}]}\n\n' % _ID
)
_DONE = b"data: [DONE]\n\n"
_STREAM = [
    _STREAM_HEAD,
    *[b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)] * 32,
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(_DONE), _DONE),
]
_SENTENCE = "disk error on node raised latency of the service while memory was low "


@dataclass(frozen=True)
class Load:
    """What is asked, and the pieces in which the server's answer comes."""

    prompt_characters: int
    answer: Sequence[bytes]
    task: str = PLAIN

    def request(self) -> tuple[bytes, bytes]:
        """Head and body; the body has a place for the user's number."""
        streamed = "true" if len(self.answer) > 1 else "false"
        prompt = (_SENTENCE * (self.prompt_characters // len(_SENTENCE) + 1))[: self.prompt_characters]
        body = (
            f'{{"model":"{self.task}","messages":[{{"role":"user","content":"{prompt}"}}],"max_tokens":64,'
            f'"temperature":0.7,"user":"user-%06d","stream":{streamed}}}'
        )
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8100\r\nAccept: application/json\r\n"
            f"Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.0.0\r\nAuthorization: Bearer {_KEY}\r\n"
            f"x-session-id: user-%06d\r\nContent-Length: {len(body % 0)}\r\n\r\n"
        )
        return head.encode(), body.encode()


_LOADS = {
    "plain": Load(400, [_WHOLE]),
    "long": Load(32_768, [_WHOLE]),
    "stream": Load(400, _STREAM),
    "prompted": Load(400, [_WHOLE], task=PROMPTED),
}


@dataclass
class Wire:
    """A transport that keeps what was written."""

    written: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, pieces: list[bytes]) -> None:
        self.written.extend(pieces)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 5000) if name == "peername" else default

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    abort = pause_reading = resume_reading = close


class Routing:
    """A router without sockets, with its clients and one server."""

    def __init__(self, folder: Path, *, together: int) -> None:
        self.board = Board()
        for task in (PLAIN, PROMPTED):
            for event in (a_task(task), *a_split(task, [_URL], [_URL])):
                take_in(self.board, event)
        self.board.loaded = True
        self.spool = Spool.claim(folder / "spool", limits=SpoolLimits(segment_bytes=8 << 20, total_bytes=8 << 30))
        breaker = BreakerRules(rest_s=5, open_after=5, return_s=10)
        rules = UpstreamRules(connect_s=2, first_byte_s=120, between_chunks_s=60, breaker=breaker)
        self.upstream = Upstream(rules, clock=time.monotonic)
        serving = Serving(
            board=self.board, ids=InferenceIds(secrets.token_bytes(32)), upstream=self.upstream, spool=self.spool,
            limits=Limits(copy_bytes=4 << 20, event_bytes=900_000), nonces=Nonces(), tracing=Tracing(0.0),
            conceal=Concealer(ContentSeals(None)),
        )  # fmt: skip
        limits = DoorLimits(body_bytes=4 << 20, request_s=30, idle_s=75, stalled_s=60)
        self.door = Door(Answering(serving), _guard(folder / "keys.json"), limits)
        self.clients = [self._client() for _ in range(together)]
        target = self.board.snapshot.deployments[PLAIN].champion
        self.server: Server = self.upstream.replicas(target)[0].server
        self.wires = [self._connect_server() for _ in range(together)]

    def _client(self) -> tuple[ClientConnection, Wire]:
        state = ServerState()
        state.default_headers = [(b"date", _DATE)]
        connection = self.door.connect(config=Config("none"), server_state=state, app_state={})
        wire = Wire()
        connection.connection_made(wire)  # type: ignore[arg-type]
        return connection, wire

    def _connect_server(self) -> Wire:
        connection, wire = ServerConnection(self.server), Wire()
        connection.connection_made(wire)  # type: ignore[arg-type]
        self.server.idle.append(connection)
        return wire

    def ask(self, requests: Sequence[bytes]) -> None:
        for (client, _), request in zip(self.clients, requests, strict=True):
            client.data_received(request)

    def answer(self, busy: Sequence[ServerConnection], pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            for connection in busy:
                connection.data_received(piece)

    def clear(self) -> None:
        """Lets go of what clients and the server got, and of the events, as if Kafka had them."""
        for _, wire in self.clients:
            assert wire.written, "nobody answered"
            assert wire.written[0].startswith(b"HTTP/1.1 200"), wire.written[0]
            wire.written.clear()
        for wire in self.wires:
            wire.written.clear()
        self.spool._fresh.clear()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self.spool._fresh_bytes = 0  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _guard(path: Path) -> Guard:
    entry = {"id": "bench", "sha256": hashlib.sha256(_KEY.encode()).hexdigest(), "tenant": "bench"}
    path.write_text(json.dumps({"keys": [entry]}))
    return Guard(GuardRules(), keys=KeysOnDisk(path), verifier=None)


async def measure(routing: Routing, load: Load, rounds: int) -> dict[str, float]:
    """The quickest round of each step, in microseconds a request; the whole is a round of its own."""
    quickest: dict[str, float] = {}
    clock, together = time.thread_time, len(routing.clients)
    head, body = load.request()
    for number in range(rounds):
        users = [(number * together + client) % 10_000 for client in range(together)]
        requests = [head % user + body % user for user in users]
        begun = clock()
        routing.ask(requests)
        await asyncio.sleep(0)  # those that came together go on together
        asked = clock()
        busy = [*routing.server.busy]
        before = clock()
        routing.answer(busy, load.answer)
        answered = clock()
        for _ in range(2):  # the record and the last bytes; then figures
            await asyncio.sleep(0)
        recorded = clock()
        ask_s, answer_s, record_s = asked - begun, answered - before, recorded - answered
        steps = {"ask": ask_s, "answer": answer_s, "record": record_s, "whole": ask_s + answer_s + record_s}
        for step, seconds in steps.items():
            quickest[step] = min(quickest.get(step, 1e9), seconds * 1e6 / together)
        routing.clear()
    return quickest


async def _measure_all(folder: Path, arguments: argparse.Namespace) -> None:
    keep_freed_memory()  # as `tend_memory` has it
    routing = Routing(folder, together=arguments.together)
    profile = cProfile.Profile()
    print("microseconds of a request", *(f"{step:>8}" for step in ("ask", "answer", "record", "whole")))
    for name in arguments.loads:
        await measure(routing, _LOADS[name], _WARM_UP)
        gc.collect()
        gc.freeze()  # as `Door.run` has it
        gc.set_threshold(50_000, 20, 20)
        if arguments.profile:
            profile.enable()
        quickest = await measure(routing, _LOADS[name], arguments.rounds)
        profile.disable()
        print(f"{name:25}", *(f"{us:8.1f}" for us in quickest.values()))
    if arguments.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", nargs="+", choices=[*_LOADS], default=[*_LOADS])
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument(
        "--together",
        type=int,
        default=32,
        help="clients that ask in one turn of the loop; alone a request finds colder caches",
    )
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_measure_all(Path(folder), arguments))


if __name__ == "__main__":
    main()
