"""The facts behind the last snapshot, on disk: what a router serves by that starts while Kafka is away."""

import asyncio
import os
from pathlib import Path

import msgspec
import structlog

_log = structlog.get_logger()


class KeptFact(msgspec.Struct, frozen=True):
    """The newest fact about one thing, as the router read it."""

    topic: str
    value: msgspec.Raw


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(KeptFact)


class SnapshotFile:
    """JSON lines, one file for all workers of a machine: each writes it as a whole, and the newest is as good as any.

    Args:
        path: Where it lies; the folder is made when it is first written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts: dict[tuple[str, str], KeptFact] = {}
        self._stale = False

    def restore(self) -> list[KeptFact]:
        """What the file holds; nothing if there is none, or if it cannot be read."""
        try:
            return _decoder.decode_lines(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            _log.error("snapshot.file-unreadable", path=str(self._path), reason=repr(error))
            return []

    def forget(self) -> None:
        """Begins anew: the topics are read from their beginning."""
        self._facts.clear()

    def keep(self, topic: str, *, key: str, value: bytes) -> None:
        """Remembers a fact, JSON on one line, in place of what was known of the same thing, for the next `save`."""
        self._facts[topic, key] = KeptFact(topic, msgspec.Raw(value))
        self._stale = True

    async def save(self) -> None:
        """Writes what changed since the last time. A disk that refuses costs only this."""
        if not self._stale:
            return
        self._stale = False
        try:
            await asyncio.to_thread(self._write, list(self._facts.values()))
        except OSError as error:
            self._stale = True
            _log.error("snapshot.file-unwritten", path=str(self._path), reason=repr(error))

    def _write(self, facts: list[KeptFact]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(f".{os.getpid()}-{id(self):x}")
        with open(partial, "wb", opener=_private) as file:
            file.write(_encoder.encode_lines(facts))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
