"""How a training process is asked to stop, until it has come to its end."""

import signal
from types import FrameType


class Stop:
    """Whether SIGTERM has come; the run ends after the step in hand."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def ignore_stops() -> None:
    """From here on SIGTERM changes nothing: the process is about to exit with the status that tells how it ended.

    Python takes its own handlers away before it has ended, and the signal would kill it then.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
