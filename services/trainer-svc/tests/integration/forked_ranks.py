"""Runs jobs in groups of processes, forked after the imports, which else would take most of the time of the tests.

`python forked_ranks.py SCENES_FILE`: does the scenes of a JSON list one after the other and writes beside each job file
what each process said (`.said.RANK`), what all of them printed (`.log`) and how they ended (`.end`).
"""

import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, TypeAdapter


class Scene(BaseModel):
    """Processes that run a job, as a group or one by itself, and a signal to one of them in the middle."""

    job_file: Path
    processes: int
    grouped: bool = True
    signal: Literal["SIGTERM", "SIGKILL"] | None = None
    to_rank: int = 0
    after_step: int = 0


class End(BaseModel):
    """Exit statuses by rank; negative is the signal that ended the process."""

    statuses: list[int]
    seconds_after_signal: float | None


def play(scene: Scene) -> None:
    said = scene.job_file.with_suffix(".said.0")
    said.write_text("")
    port = free_port()
    ranks = [start(scene, rank, port) for rank in range(scene.processes)]
    signalled_at = None
    if scene.signal is not None:
        wait_for_step(said, scene.after_step, ranks)
        os.kill(ranks[scene.to_rank], signal.Signals[scene.signal])
        signalled_at = time.monotonic()
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in ranks]
    seconds = None if signalled_at is None else time.monotonic() - signalled_at
    scene.job_file.with_suffix(".end").write_text(
        End(statuses=statuses, seconds_after_signal=seconds).model_dump_json()
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for_step(said: Path, step: int, ranks: list[int]) -> None:
    while f'"kind":"step","step":{step},' not in said.read_text():
        os.kill(ranks[0], 0)
        time.sleep(0.02)


def start(scene: Scene, rank: int, port: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        take_place(scene, rank, port)
        status = main(set_up)
    except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)


def take_place(scene: Scene, rank: int, port: int) -> None:
    for number, suffix in ((1, f".said.{rank}"), (2, ".log")):
        os.dup2(os.open(scene.job_file.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    if scene.grouped:
        os.environ |= {  # noqa: TID251 - what torchrun sets
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(scene.processes),
            "LOCAL_WORLD_SIZE": str(scene.processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
    sys.argv = ["sft", str(scene.job_file)]


if __name__ == "__main__":
    import deepspeed  # noqa: F401 - once for all forks

    from trainer_svc.recipes.running import main
    from trainer_svc.recipes.sft import set_up

    for scene in TypeAdapter(list[Scene]).validate_json(Path(sys.argv[1]).read_bytes()):
        play(scene)
