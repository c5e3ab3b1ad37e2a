"""Runs lm-evaluation-harness: a script for the environment that has it, which knows nothing of this service.

    python lm_eval_runner.py <order.json> <figures.json>

Network access is off by the environment variables that the service sets; answers are cached as they arrive, so that a
run that was killed asks only what is left.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from lm_eval import simple_evaluate  # pyright: ignore[reportMissingImports] - in an environment of its own
from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports] - as above

_SEED = 17
_KEPT = ("results", "versions", "n-samples", "higher_is_better")


def main(order_file: Path, figures_file: Path) -> None:
    order = json.loads(order_file.read_text())
    found = simple_evaluate(
        model="local-completions",
        model_args=order["model_args"],
        tasks=order["benchmarks"],
        num_fewshot=order["shots"],
        limit=order["most_cases"],
        use_cache=order["cache"],
        # the thousands of tasks that ship with the harness take 15 s of CPU to list, and name data sets on the network
        task_manager=TaskManager(include_path=order["tasks_dir"], include_defaults=False),
        log_samples=False,
        bootstrap_iters=1000,
        random_seed=_SEED,
        numpy_random_seed=_SEED,
        torch_random_seed=_SEED,
        fewshot_random_seed=_SEED,
    )
    figures = {name: found[name] for name in _KEPT} | {"harness": version("lm-eval")}
    partial = figures_file.with_suffix(".partial")
    partial.write_text(json.dumps(figures, default=str))
    partial.rename(figures_file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
