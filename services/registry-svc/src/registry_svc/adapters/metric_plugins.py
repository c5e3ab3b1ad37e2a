"""Metrics that an operator adds: a folder of Python files, each with one function `score(answer, expected, case)`.

The file's name is the metric's, as `custom.<name>`. More is better. What a plug-in raises, and what it returns that is
no finite number, makes the metric one that cannot be computed; it never stops an evaluation. Plug-ins run inside the
service, so that only those who may change the service may write into the folder.
"""

import asyncio
import importlib.util
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import structlog

from registry_svc.domain.scoring import HeldOutCase

_log = structlog.get_logger()
_PATIENCE_S: Final = 10.0
_MOST_NAME: Final = 60

Scoring = Callable[[str, str, HeldOutCase], float]


@dataclass(frozen=True)
class CustomMetric:
    """One plug-in.

    Attributes:
        function: None if its file cannot be used; the metric then cannot be computed.
    """

    name: str
    function: Scoring | None

    async def score(self, answer: str, case: HeldOutCase) -> float | None:
        """The value of one answer; None where the plug-in fails, or takes longer than 10 s."""
        if self.function is None:
            return None
        loop = asyncio.get_running_loop()
        done: asyncio.Future[float | None] = loop.create_future()

        def settle(value: float | None) -> None:
            if not done.done():
                done.set_result(value)

        def run() -> None:
            value = self._call(answer, case)
            try:
                loop.call_soon_threadsafe(settle, value)
            except RuntimeError:
                return  # the service ended meanwhile

        # a thread of its own that ends with the process: one that hangs takes no place in a pool
        threading.Thread(target=run, name=self.name, daemon=True).start()
        try:
            return await asyncio.wait_for(done, _PATIENCE_S)
        except TimeoutError:
            _log.error("metric.too-slow", metric=self.name, case=case.sample_id, limit_s=_PATIENCE_S)
            return None

    def _call(self, answer: str, case: HeldOutCase) -> float | None:
        assert self.function is not None, "score() asks only those that have one"
        try:
            value = float(self.function(answer, case.expected, case))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code
            _log.error("metric.failed", metric=self.name, case=case.sample_id, reason=repr(error)[:500])
            return None
        return value if math.isfinite(value) else None


def load_metrics(folder: Path | None) -> tuple[CustomMetric, ...]:
    """The plug-ins of a folder, by name; none without a folder."""
    if folder is None:
        return ()
    return tuple(
        CustomMetric(f"custom.{path.stem[:_MOST_NAME]}", _load(path)) for path in sorted(folder.glob("[!_.]*.py"))
    )


def _load(path: Path) -> Scoring | None:
    try:
        spec = importlib.util.spec_from_file_location(f"registry_svc_metric_{path.stem}", path)
        assert spec is not None, "a path to a .py file has one"
        assert spec.loader is not None, "as above"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        function = module.score
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code
        _log.error("metric.unreadable", file=path.name, reason=repr(error)[:500])
        return None
    if not callable(function):
        _log.error("metric.unreadable", file=path.name, reason="score is no function")
        return None
    return cast("Scoring", function)
