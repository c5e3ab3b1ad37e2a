"""The training process: dies with the service, sees its own devices only, speaks JSON lines."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from trainer_svc.adapters.launch import ALONE, Nodes, command

_LONGEST_LINE_BYTES = 1 << 20
# glibc: activations of one step are the next one's; giving them back to the kernel in between costs page faults
_KEEP_MEMORY = ("MALLOC_MMAP_MAX_=0", f"MALLOC_TRIM_THRESHOLD_={16 << 30}", f"MALLOC_TOP_PAD_={256 << 20}")


class TrainingProcess:
    """One running recipe.

    `setpriv --pdeathsig` has the kernel kill it when the service dies, however that happens; a session of its own
    keeps the terminal's Ctrl-C away from it, so that it is stopped in order.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def launch(
        cls,
        module: str,
        job_file: Path,
        *,
        devices: tuple[str, ...],
        sharding: str | None,
        log_file: Path,
        nodes: Nodes = ALONE,
    ) -> "TrainingProcess":
        """Starts a recipe.

        Args:
            devices: `cpu:0` or `cuda:0`, ..., as in TRAINER_DEVICE_SLOTS; it sees these GPUs and no others.
            log_file: Takes what the process writes on standard error, after what earlier attempts wrote.
            nodes: Machines that train the job together.
        """
        visible = ",".join(number for kind, _, number in map(_parts, devices) if kind == "cuda")
        with log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "KILL", "--",
                "env", f"CUDA_VISIBLE_DEVICES={visible}", "PYTHONUNBUFFERED=1", *_KEEP_MEMORY,
                "nice", "-n", "5",
                sys.executable, *command(module, job_file, devices=devices, sharding=sharding, nodes=nodes),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
                start_new_session=True, limit=_LONGEST_LINE_BYTES,
            )  # fmt: skip
        return cls(process)

    async def lines(self) -> AsyncIterator[bytes]:
        """What the process writes on standard output, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            yield line

    async def wait(self) -> int:
        """Exit status; negative is the signal that ended it."""
        return await self._process.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM: the recipe writes a checkpoint and exits."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, for the whole group."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _parts(slot: str) -> tuple[str, str, str]:
    return slot.partition(":")
