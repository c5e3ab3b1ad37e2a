"""Figures to MLflow, from a thread of their own: a slow or absent tracking server never slows or ends a training run."""

import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from trainer_svc.recipes.job_file import TrackingTarget
from trainer_svc.recipes.ranks import is_first
from trainer_svc.recipes.vitals import Vitals

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_LONGEST_FLUSH_S = 10.0
_REQUEST_S = 5
_MOST_WAITING = 20_000  # entries, some megabytes; what comes while MLflow is away for longer is not tracked
_METRICS_A_REQUEST = 1_000  # MLflow takes no more, and no more params than
_PARAMS_A_REQUEST = 100


@dataclass(frozen=True)
class _Entry:
    """Figures of one moment."""

    step: int
    at_ms: int
    figures: Mapping[str, float]


class Tracker:
    """Sends params, metrics and the process's own vitals to one MLflow run.

    What the server does not take is named on standard error, and tried again: when it was away, the figures of that
    time arrive later, with the times at which they were measured.

    Args:
        look_every_s: Time between two looks at the vitals.
        retry_after_s: Time before the next attempt after one that failed.
    """

    def __init__(
        self, target: TrackingTarget | None, *, look_every_s: float = 10.0, retry_after_s: float = 15.0
    ) -> None:
        self._target = target
        self._look_every_s = look_every_s
        self._retry_after_s = retry_after_s
        self._queue: queue.Queue[_Entry | None] = queue.Queue(_MOST_WAITING)
        self._params: Mapping[str, str] = {}
        self._step = 0
        self._left_out = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="mlflow", daemon=True)

    def start(self, params: Mapping[str, str]) -> None:
        self._params = params
        if self._target is not None:
            self._thread.start()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Hands figures over; returns at once, whatever the server does."""
        self._step = step
        if self._target is not None:
            self._put(_Entry(step, int(time.time() * 1000), dict(metrics)))

    def close(self) -> None:
        """Waits a while for what is still to be sent."""
        if self._thread.is_alive():
            self._closing.set()
            with suppress(queue.Full):  # the thread looks at `_closing` as well
                self._queue.put_nowait(None)
            self._thread.join(_LONGEST_FLUSH_S)
        if self._left_out:
            _say(f"{self._left_out} entries were not tracked: MLflow was away for too long")

    def _put(self, entry: _Entry) -> None:
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._left_out += 1

    def _send_all(self) -> None:
        try:
            # seconds of import, off the path to the first step
            from mlflow import environment_variables as mlflow_env  # noqa: PLC0415 - as above
            from mlflow.tracking import MlflowClient  # noqa: PLC0415 - as above

            assert self._target is not None
            mlflow_env.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(0)  # this thread has its own patience
            mlflow_env.MLFLOW_HTTP_REQUEST_TIMEOUT.set(_REQUEST_S)
            client = MlflowClient(self._target.uri)
            if self._patiently(partial(self._send_params, client)):
                self._send_figures(client)
        except Exception as error:  # noqa: BLE001 - tracking is a side line of training, whatever befalls it
            _say(f"figures are no longer tracked: {error!r}")

    def _send_figures(self, client: "MlflowClient") -> None:
        vitals, looked_at = Vitals(), time.monotonic()
        while True:
            batch = self._take(self._look_every_s - (time.monotonic() - looked_at))
            if time.monotonic() - looked_at >= self._look_every_s or None in batch:
                looked_at = time.monotonic()
                batch += self._vital_entries(vitals)
            entries = [entry for entry in batch if entry is not None]
            if not self._patiently(partial(self._send_entries, client, entries)):
                return
            if None in batch or (self._closing.is_set() and self._queue.empty()):
                return

    def _vital_entries(self, vitals: Vitals) -> list[_Entry | None]:
        """Of the process that speaks for all."""
        return [_Entry(self._step, int(time.time() * 1000), vitals.read())] if is_first() else []

    def _take(self, patience_s: float) -> list[_Entry | None]:
        """What is there, or the first thing that comes."""
        batch: list[_Entry | None] = []
        try:
            batch.append(self._queue.get(timeout=max(patience_s, 0.01)))
            while len(batch) < _METRICS_A_REQUEST and batch[-1] is not None:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _send_params(self, client: "MlflowClient") -> None:
        """Those that the run has not: what the service said of the job stands, and so does an earlier attempt's."""
        from mlflow.entities import Param  # noqa: PLC0415 - seconds of import, as above

        assert self._target is not None
        run_id = self._target.run_id
        known = client.get_run(run_id).data.params
        missing = [Param(name, value) for name, value in self._params.items() if name not in known]
        for start in range(0, len(missing), _PARAMS_A_REQUEST):
            client.log_batch(run_id, params=missing[start : start + _PARAMS_A_REQUEST])

    def _send_entries(self, client: "MlflowClient", entries: list[_Entry]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415 - seconds of import, as above

        assert self._target is not None
        figures = [
            Metric(name, value, entry.at_ms, entry.step) for entry in entries for name, value in entry.figures.items()
        ]
        for start in range(0, len(figures), _METRICS_A_REQUEST):
            client.log_batch(self._target.run_id, metrics=figures[start : start + _METRICS_A_REQUEST])

    def _patiently(self, act: Callable[[], None]) -> bool:
        """Tries until the server answers; of what it refuses for good, it says so and goes on.

        Returns:
            False if the run ends and the server is still away.
        """
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds of import, as above

        told = False
        while True:
            try:
                act()
            except (MlflowException, OSError) as error:
                refused = isinstance(error, MlflowException) and 400 <= error.get_http_status_code() < 500
                if not told:
                    _say(str(error)[:500])
                if refused or self._closing.is_set():
                    return refused
                told = True
                self._closing.wait(self._retry_after_s)
            else:
                return True


def _say(words: str) -> None:
    print(f"MLflow: {words}", file=sys.stderr)  # noqa: T201 - the log of the job
