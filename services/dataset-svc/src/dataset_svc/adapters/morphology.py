"""Search terms of texts, by a Korean analyser that starts when it is first needed and goes when it is idle."""

import asyncio
import struct
from asyncio.subprocess import Process
from collections.abc import Sequence

import msgspec

from dataset_svc.adapters.limited_process import start, stop
from dataset_svc.domain.texts.morphemes import Morpheme, needs_analysis, terms_of
from loopwright.errors import ServingUnavailable

_MODULE = "dataset_svc.adapters.morphology_process"
_HEADER = struct.Struct(">I")
_BATCH_CHARS = 100_000
_MOST_ANSWER_BYTES = 64 << 20
_decoder = msgspec.json.Decoder(tuple[tuple[Morpheme, ...], ...])


class Morphology:
    """One analyser of the service; texts without Korean never wake it.

    Args:
        timeout_s: Longest wait for one batch, the start of the process included.
        idle_s: Seconds without a text after which the process goes.
    """

    def __init__(self, *, timeout_s: float = 60, idle_s: float = 900) -> None:
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._process: Process | None = None
        self._alone = asyncio.Lock()
        self._retirement: asyncio.Task[None] | None = None

    @property
    def awake(self) -> bool:
        return self._process is not None

    async def terms(self, texts: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Terms of each text, in order, repeated as often as they stand in it.

        Raises:
            ServingUnavailable: the analyser died or took too long; the next call starts another.
        """
        korean = [text for text in texts if needs_analysis(text)]
        analysed: list[tuple[Morpheme, ...]] = []
        for batch in _batches(korean):
            analysed += await self._analyse(batch)
        morphemes = iter(analysed)
        return tuple(terms_of(text, next(morphemes) if needs_analysis(text) else ()) for text in texts)

    async def close(self) -> None:
        async with self._alone:
            await self._end()

    async def _analyse(self, texts: tuple[str, ...]) -> tuple[tuple[Morpheme, ...], ...]:
        async with self._alone:
            try:
                async with asyncio.timeout(self._timeout_s):
                    if self._process is None:
                        self._process = await start(_MODULE)
                    found = _decoder.decode(await _exchange(self._process, msgspec.json.encode(texts)))
            except (TimeoutError, OSError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
                await self._end()
                raise ServingUnavailable("morphology.unavailable", "the Korean analyser gave no answer") from error
            except asyncio.CancelledError:
                await self._end()  # its answer would be taken for the next one's
                raise
            self._rest_later()
        return found

    async def _end(self) -> None:
        process, self._process = self._process, None
        if self._retirement is not None and self._retirement is not asyncio.current_task():
            self._retirement.cancel()
        self._retirement = None
        if process is not None:
            await stop(process)

    def _rest_later(self) -> None:
        if self._retirement is not None:
            self._retirement.cancel()
        self._retirement = asyncio.create_task(self._retire())

    async def _retire(self) -> None:
        await asyncio.sleep(self._idle_s)
        await self.close()


def _batches(texts: Sequence[str]) -> list[tuple[str, ...]]:
    batches: list[list[str]] = []
    room = 0
    for text in texts:
        if len(text) > room:
            batches.append([])
            room = _BATCH_CHARS
        batches[-1].append(text)
        room -= len(text)
    return [tuple(batch) for batch in batches]


async def _exchange(process: Process, question: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_HEADER.pack(len(question)) + question)
    await process.stdin.drain()
    (length,) = _HEADER.unpack(await process.stdout.readexactly(_HEADER.size))
    if length > _MOST_ANSWER_BYTES:
        raise OSError("the answer is too long")
    return await process.stdout.readexactly(length)
