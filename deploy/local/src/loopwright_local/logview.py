"""One view of all logs: parts write to files of their own; this follows the files and prefixes every line."""

import asyncio
import sys
from pathlib import Path
from typing import BinaryIO

FOLLOW_EVERY_S = 0.15
COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94, 31)


class LogView:
    """Writes lines of the parts and of the supervisor itself to standard output.

    Args:
        log_dir: Holds one file a part.
        parts: Names of the parts.
        follow: Show what the parts write; otherwise only what the supervisor says of them.
        quiet: Show nothing.
    """

    def __init__(self, log_dir: Path, parts: tuple[str, ...], *, follow: bool, quiet: bool) -> None:
        self._files = {part: log_dir / f"{part}.log" for part in parts} if follow and not quiet else {}
        self._open: dict[str, BinaryIO] = {}
        self._rest: dict[str, bytes] = {}
        self._quiet = quiet
        self._width = max(map(len, parts), default=0)
        self._colours = dict(zip(parts, COLOURS * 2, strict=False)) if sys.stdout.isatty() else {}

    def say(self, part: str, line: str) -> None:
        """Show what the supervisor has to say about a part."""
        if not self._quiet:
            self._write(part, f"* {line}")

    async def run(self) -> None:
        """Follow the files until cancelled."""
        while self._files:
            self.catch_up()
            await asyncio.sleep(FOLLOW_EVERY_S)

    def catch_up(self) -> None:
        """Show whatever has been written since the last time."""
        for part, path in self._files.items():
            if part not in self._open:
                if not path.exists():
                    continue
                self._open[part] = path.open("rb")
            written = self._rest.get(part, b"") + self._open[part].read()
            *lines, self._rest[part] = written.split(b"\n")
            for line in lines:
                self._write(part, line.decode(errors="replace"))

    def close(self) -> None:
        """Show what is left and close the files."""
        self.catch_up()
        for file in self._open.values():
            file.close()
        self._files = {}

    def _write(self, part: str, line: str) -> None:
        prefix = f"{part:<{self._width}} | "
        colour = self._colours.get(part)
        sys.stdout.write(f"\x1b[{colour}m{prefix}\x1b[0m{line}\n" if colour else f"{prefix}{line}\n")
        sys.stdout.flush()
