# ruff: noqa: INP001 (beside a script)
"""The loads of the bench, and how a gateway goes through them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateways import Gateway
from native import Measured, Programs, set_gap

_PROMPT_BYTES, _LONG_PROMPT_BYTES = 400, 32 * 1024
_STREAM_GAP_US = 5000
_CHUNKS = 32
_MOST_OF_CEILING = 0.85  # at a rate nearer to its ceiling a gateway only shows its queue


@dataclass(frozen=True, kw_only=True)
class Load:
    """One load.

    Attributes:
        rate_hz: By the clock; None: each connection asks again once it is answered.
        gap_us: Time between the events of a stream.
    """

    name: str
    connections: int
    rate_hz: float | None = None
    stream: bool = False
    prompt_bytes: int = _PROMPT_BYTES
    gap_us: int = 0

    def arguments(self, gateway: Gateway, *, seconds: float, warm_up_s: float) -> list[str]:
        options = {
            "--port": gateway.port, "--model": gateway.model, "--path": gateway.path, "--key": gateway.key,
            "--connections": self.connections, "--seconds": seconds, "--warmup": warm_up_s, "--prompt": self.prompt_bytes,
        }  # fmt: skip
        given = [text for name, value in options.items() for text in (name, str(value))]
        rate = ["--rate", str(self.rate_hz)] if self.rate_hz else []
        return [*given, *rate, *(["--stream"] if self.stream else [])]


CEILING = Load(name="ceiling", connections=64)
LONG_PROMPTS = Load(name="long prompts", connections=64, prompt_bytes=_LONG_PROMPT_BYTES)
STEADY = Load(name="steady", connections=128, rate_hz=500)
STREAMS = Load(name="streams", connections=256, rate_hz=300, stream=True, gap_us=_STREAM_GAP_US)
BURST = Load(name="burst", connections=1, stream=True)
_WARM_UPS = (Load(name="warm-up", connections=8), Load(name="warm-up of streams", connections=8, stream=True))


@dataclass(frozen=True)
class Round:
    """What one gateway showed in one repeat, by load; a load that it cannot carry is missing."""

    gateway: str
    measured: dict[str, Measured]


@dataclass(frozen=True)
class Driver:
    """Runs loads against one gateway after the other."""

    programs: Programs
    upstream_port: int
    seconds: float

    async def round(
        self, gateway: Gateway, pid: int | None, loads: Sequence[Load], *, after: Callable[[Measured], Awaitable[None]]
    ) -> Round:
        """Every load, one after the other; `after` returns when the gateway has no more to do from the last one."""
        measured: dict[str, Measured] = {}
        for load in (*_WARM_UPS, *loads):
            if load.rate_hz and not _can_carry(load, measured.get(CEILING.name)):
                continue
            one = await self.run(load, gateway, pid)
            await after(one)
            if load not in _WARM_UPS:
                measured[load.name] = one
        return Round(gateway.name, measured)

    async def run(self, load: Load, gateway: Gateway, pid: int | None) -> Measured:
        await set_gap(self.upstream_port, load.gap_us)
        # a stream takes 32 gaps: those that began before the measured time must have filled it
        warm_up_s = min(1.0, self.seconds / 3) + load.gap_us * _CHUNKS / 1e6
        if load in _WARM_UPS:
            arguments = load.arguments(gateway, seconds=gateway.warm_up_s / 2, warm_up_s=0.1)
        else:
            arguments = load.arguments(gateway, seconds=self.seconds, warm_up_s=warm_up_s)
        return await self.programs.load(arguments, gateway_pid=pid)


def _can_carry(load: Load, ceiling: Measured | None) -> bool:
    if ceiling is None or load.rate_hz is None:
        return True
    cost = 2 if load.stream else 1  # a stream is dearer than a request: half a ceiling is left for its chunks
    return load.rate_hz * cost < ceiling.requests_s * _MOST_OF_CEILING
