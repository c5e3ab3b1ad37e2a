"""The processes of one job on one machine: `python -m trainer_svc.recipes.group TORCHRUN_ARGUMENTS`.

This is torchrun, with three differences. A SIGTERM is passed on, and the processes decide together when they stop. Its
own end tells theirs: their exit status, or the signal that killed one. Where they meet, it listens on one address only:
the loopback, if there is but this machine. `--rdzv-endpoint file:PATH` has machines tell each other through a file.
"""

import os
import signal
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import psutil
from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage] - its documented place
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from trainer_svc.recipes.progress import EXIT_STOPPED
from trainer_svc.recipes.sharding import EXIT_PEER_LOST
from trainer_svc.recipes.stopping import ignore_stops

_LOOPBACK = "127.0.0.1"
_LONGEST_MEETING_S = 600


def main(arguments: Sequence[str]) -> int:
    """Runs the processes to their end.

    Returns:
        Exit status of theirs: 0 if all ended well.
    """
    signal.signal(signal.SIGTERM, _pass_on)
    chosen = parse_args(["--signals-to-handle", "SIGINT", *arguments])
    threads = max(1, len(os.sched_getaffinity(0)) // int(chosen.nproc_per_node))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # noqa: TID251 - else torchrun would set it to 1
    kind, _, path = chosen.rdzv_endpoint.partition("file:")
    store = None
    if chosen.nnodes == "1":
        store = _open_store(chosen, _LOOPBACK)
    elif not kind and chosen.node_rank == 0:
        store = _open_store(chosen, _own_address())
        _publish(Path(path), f"{chosen.master_addr}:{chosen.master_port}")
    elif not kind:
        chosen.rdzv_endpoint = _published(Path(path))
    try:
        run(chosen)
    except ChildFailedError as error:
        return _end_as([failure.exitcode for failure in error.failures.values()])
    finally:
        ignore_stops()
        del store
    return 0


def _own_address() -> str:
    """This machine's, as others may reach it; many systems give their own name a loopback address."""
    named = socket.gethostbyname(socket.gethostname())
    interfaces = psutil.net_if_addrs().values()
    found = [entry.address for entries in interfaces for entry in entries if entry.family == socket.AF_INET]
    return next((address for address in (named, *found) if not ip_address(address).is_loopback), named)


def _open_store(chosen: Namespace, address: str) -> TCPStore:
    """Opens the store where the processes meet. torchrun would open it, whose content they trust, on all interfaces."""
    listener = socket.create_server((address, 0))
    chosen.rdzv_endpoint = ""
    chosen.master_addr, chosen.master_port = listener.getsockname()
    return TCPStore(
        chosen.master_addr,
        chosen.master_port,
        is_master=True,
        wait_for_workers=False,
        multi_tenant=True,  # torchrun finds it by its port, and shares it
        master_listen_fd=listener.detach(),
    )


def _publish(file: Path, endpoint: str) -> None:
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(endpoint)
    partial.replace(file)


def _published(file: Path) -> str:
    """Where the first machine listens, once it says so.

    Raises:
        TimeoutError: it did not.
    """
    patience = time.monotonic() + _LONGEST_MEETING_S
    while time.monotonic() < patience:
        if file in file.parent.iterdir():  # of a network file system, a listing is more up to date than a look-up
            return file.read_text()
        time.sleep(1)
    raise TimeoutError(f"the first machine did not say in {file} where it listens")


def _pass_on(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # of signals that come faster than this, the handlers would nest
    processes = psutil.Process().children()
    if not processes:
        raise SystemExit(EXIT_STOPPED)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    signal.signal(number, _pass_on)


def _end_as(statuses: Sequence[int]) -> int:
    """Exit status of the process that failed first; dies of the signal that it died of.

    Args:
        statuses: Of the processes that did not end well. Some of them ended because of another: torchrun terminated
            them, or they lost it.
    """
    effects = {-signal.SIGTERM, EXIT_PEER_LOST}
    cause = next((status for status in statuses if status not in effects), statuses[0])
    if cause < 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -cause)
    return cause


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
