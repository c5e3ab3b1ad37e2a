"""Seals conversations with the platform's key file; without one, what a task wants sealed is left out."""

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from router_svc.adapters.metrics import CONTENT_WITHHELD

if TYPE_CHECKING:
    from loopwright.sealing import KeyFile

_log = structlog.get_logger()


class ContentSeals:
    """Seals for the events of one router.

    Args:
        path: Key file of the platform; None if there is none.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else _key_file(path)

    def seal(self, content: bytes, *, inference_id: str) -> str | None:
        """The event's `sealed_content`; None, counted, if it cannot be sealed: then it must not leave at all."""
        if self._file is not None:
            from loopwright.sealed_content import seal_content  # noqa: PLC0415 - as below

            try:
                return seal_content(content, self._file.ring(), inference_id=inference_id)
            except (OSError, ValueError) as error:
                _log.error("content.not-sealed", reason=type(error).__name__)
        CONTENT_WITHHELD.inc()
        return None


def _key_file(path: Path) -> "KeyFile":
    from loopwright.sealing import KeyFile  # noqa: PLC0415 - ciphers take 9 MB, and few routers have such a file

    return KeyFile(path)
