"""Figures to MLflow, from a thread of their own: a slow or absent tracking server never slows or ends a training run."""

import queue
import sys
import threading
import time
from collections.abc import Mapping

from trainer_svc.recipes.job_file import TrackingTarget

_LONGEST_FLUSH_S = 20.0


class Tracker:
    """Sends parameters and metrics to one MLflow run; what the server does not take is named on standard error."""

    def __init__(self, target: TrackingTarget | None) -> None:
        self._target = target
        self._queue: queue.Queue[tuple[int, Mapping[str, float]] | None] = queue.Queue()
        self._params: Mapping[str, str] = {}
        self._thread = threading.Thread(target=self._send_all, name="mlflow", daemon=True)

    def start(self, params: Mapping[str, str]) -> None:
        self._params = params
        if self._target is not None:
            self._thread.start()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._target is not None:
            self._queue.put((step, metrics))

    def close(self) -> None:
        """Waits a while for what is still to be sent."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(_LONGEST_FLUSH_S)

    def _send_all(self) -> None:
        assert self._target is not None
        from mlflow.entities import Metric, Param  # noqa: PLC0415 - seconds of import, off the path to the first step
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - as above

        client, run = MlflowClient(self._target.uri), self._target.run_id
        try:
            client.log_batch(run, params=[Param(name, value) for name, value in self._params.items()])
            while True:
                batch = self._take()
                figures = [
                    Metric(name, value, int(time.time() * 1000), step)
                    for step, metrics in (entry for entry in batch if entry is not None)
                    for name, value in metrics.items()
                ]
                client.log_batch(run, metrics=figures)
                if None in batch:
                    return
        except Exception as error:  # noqa: BLE001 - tracking is a side line of training, whatever befalls it
            print(f"MLflow run {run}: figures are no longer tracked: {error}", file=sys.stderr)  # noqa: T201

    def _take(self) -> list[tuple[int, Mapping[str, float]] | None]:
        batch = [self._queue.get()]
        while not self._queue.empty():
            batch.append(self._queue.get())
        return batch
