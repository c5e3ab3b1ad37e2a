"""Runs a module of ours in a process of its own with little memory, no files and no secrets; for input that may be hostile."""

import asyncio
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress


class ProcessEnded(Exception):
    """The process was killed, took too long, or said more than it may."""


def limit_this_process(*, memory_bytes: int, cpu_s: int | None) -> None:
    """To be called first thing in the child: address space, CPU time, and no byte into any file."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if cpu_s is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))


async def start(module: str, *arguments: str) -> Process:
    """Starts `python -m module` with an empty environment; it speaks over its standard streams."""
    command = (sys.executable, "-I", "-B", "-X", "utf8", "-m", module, *arguments)
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={})


async def ask_once(process: Process, question: bytes, *, timeout_s: float, max_answer_bytes: int) -> bytes:
    """Everything that a process says when told something; the process is gone afterwards.

    Raises:
        ProcessEnded: it did not end well, in time, or within the length.
    """
    try:
        async with asyncio.timeout(timeout_s):
            _, answer = await asyncio.gather(_tell(process, question), _hear(process, max_answer_bytes))
            code = await process.wait()
    except TimeoutError as error:
        raise ProcessEnded("took too long") from error
    finally:
        await stop(process)
    if code:
        raise ProcessEnded(f"ended with {code}")
    return answer


async def stop(process: Process) -> None:
    """Kills the process if it still runs, and closes its streams."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    if process.stdin is not None:
        process.stdin.close()
    # reads what is left, so that the transport sees the end and closes
    if process.stdout is not None:
        while await process.stdout.read(1 << 16):
            pass
    await process.wait()


async def _tell(process: Process, question: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(question)
        await process.stdin.drain()
        process.stdin.close()


async def _hear(process: Process, max_bytes: int) -> bytes:
    assert process.stdout is not None
    heard = bytearray()
    while piece := await process.stdout.read(1 << 16):
        heard += piece
        if len(heard) > max_bytes:
            raise ProcessEnded(f"said more than {max_bytes} bytes")
    return bytes(heard)
