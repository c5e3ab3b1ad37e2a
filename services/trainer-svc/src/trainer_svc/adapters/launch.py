"""How the processes of a recipe are started: one by itself, a group of them, or a group on several machines."""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_IN_SHARDS = frozenset({"zero2", "zero3", "fsdp2"})
_GROUP = "trainer_svc.recipes.group"
_UNHEARD = ("env", "GLOO_SOCKET_IFNAME=lo", "NCCL_SOCKET_IFNAME=lo")  # on one machine nobody else need listen
_PARTING_S = 15  # between the end of one process and the killing of those that do not notice it


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The machines that train one job together. They share the folder of the jobs and have the same devices.

    Attributes:
        rank: Which of them this is; what the first one says is what the job says.
        meeting: Where they meet: `host:port` on the first one, or a file in a folder that all of them see, into which
            the first one writes where it listens.
    """

    count: int = 1
    rank: int = 0
    meeting: str = ""


ALONE = Nodes()


class Running(Protocol):
    """A recipe that runs, wherever that is."""

    def lines(self) -> AsyncIterator[bytes]:
        """What it says, until it ends."""
        ...

    async def wait(self) -> int:
        """Exit status; negative is the signal that ended it."""
        ...

    def ask_to_stop(self) -> None:
        """Has it write a checkpoint and exit."""
        ...

    def kill(self) -> None: ...


class Launcher(Protocol):
    """Starts recipes; chosen by TRAINER_LAUNCHER.

    Attributes:
        machines: How many train one job together, each with the job's devices.
    """

    machines: int

    async def launch(
        self, module: str, job_file: Path, *, devices: tuple[str, ...], sharding: str | None, log_file: Path
    ) -> Running:
        """Starts one.

        Args:
            devices: Slots that it has on each machine, such as `cuda:0`.
            sharding: How several processes share parameters, as in the hyper-parameters; None: it is no training, and
                one process runs it.
            log_file: Takes what it prints besides, after what earlier attempts printed.
        """
        ...


def command(
    module: str,
    job_file: Path,
    *,
    devices: tuple[str, ...],
    sharding: str | None,
    nodes: Nodes = ALONE,
    python: str = sys.executable,
) -> tuple[str, ...]:
    """Arguments of the Python interpreter that run a recipe, with one process for each device.

    The processes of a group are told to die with the torchrun that starts them: it puts each into a session of its
    own, where no signal to the group would reach it.

    Args:
        python: Interpreter of those processes.
    """
    recipe = ("-m", module, str(job_file))
    by_itself = nodes.count == 1 and len(devices) == 1 and sharding not in _IN_SHARDS
    if by_itself or sharding is None:
        return recipe
    return (
        "-m", _GROUP, "--nproc-per-node", str(len(devices)), "--nnodes", str(nodes.count),
        "--node-rank", str(nodes.rank), *(("--rdzv-endpoint", nodes.meeting) if nodes.count > 1 else ()),
        "--shutdown-timeout", str(_PARTING_S),
        "--no-python", "setpriv", "--pdeathsig", "KILL", "--", *(_UNHEARD if nodes.count == 1 else ()),
        python, "-u", *recipe,
    )  # fmt: skip
