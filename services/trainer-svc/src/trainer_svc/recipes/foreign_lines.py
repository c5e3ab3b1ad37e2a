"""What another project's trainer prints, as lines of progress: both print the dictionaries of Transformers' trainer."""

import ast
import math
import re
from collections.abc import Mapping
from time import monotonic
from typing import cast

from trainer_svc.recipes.progress import Evaluated, ProgressStream, Stepped

_LOGGED = re.compile(r"\{'(?:eval_)?loss'.*?\}")


class Follower:
    """Turns printed figures into lines.

    Args:
        steps_an_epoch: Optimizer steps of one pass.
    """

    def __init__(self, progress: ProgressStream, *, steps_an_epoch: int, epochs: float) -> None:
        self._progress = progress
        self._steps_an_epoch = steps_an_epoch
        self._total = math.ceil(steps_an_epoch * epochs)
        self._began = monotonic()
        self.step = 0
        self.loss: float | None = None
        self.best: float | None = None

    def read(self, text: str) -> None:
        """Says what a printed line tells, if it tells something."""
        for found in _LOGGED.findall(text):
            figures = _figures(found)
            if "epoch" in figures:
                self._tell(figures)

    def _tell(self, figures: Mapping[str, float]) -> None:
        epoch = figures["epoch"]
        self.step = min(round(epoch * self._steps_an_epoch), self._total)
        if "eval_loss" in figures:
            loss = figures["eval_loss"]
            self.best = loss if self.best is None else min(loss, self.best)
            self._progress.say(Evaluated(step=self.step, total_steps=self._total, epoch=epoch, eval_loss=loss))
            return
        self.loss = figures["loss"]
        seconds = monotonic() - self._began
        self._progress.say(
            Stepped(
                step=self.step,
                total_steps=self._total,
                epoch=epoch,
                loss=self.loss,
                learning_rate=figures.get("learning_rate", 0.0),
                grad_norm=figures.get("grad_norm"),
                tokens_per_s=0.0,  # not told
                device_memory_bytes=0,  # not told
                eta_s=seconds / max(self.step, 1) * (self._total - self.step),
            )
        )


def _figures(text: str) -> dict[str, float]:
    """Numbers of a printed dictionary; some versions print them as text."""
    try:
        found = cast("object", ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return {}
    figures: dict[str, float] = {}
    for name, value in cast("dict[object, object]", found).items() if isinstance(found, dict) else ():
        try:
            figures[str(name)] = float(str(value))
        except ValueError:
            continue
    return figures
