"""lm-evaluation-harness in a process of its own, against vLLM's completions.

It asks vLLM and not the router: likelihoods of given answers need the prompt's own log-probabilities (`echo`), without a
task's template around it, and questions of a benchmark are no inferences that anybody should learn from.
"""

import asyncio
import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, Field, JsonValue, ValidationError

from loopwright.errors import RuleRefused
from registry_svc.domain.benchmarks import Benchmark, BenchmarkMetric, BenchmarkResult

_RUNNER: Final = Path(__file__).with_name("lm_eval_runner.py")
_OFFLINE: Final = (
    "HF_HUB_OFFLINE=1",
    "HF_DATASETS_OFFLINE=1",
    "TRANSFORMERS_OFFLINE=1",
    "TOKENIZERS_PARALLELISM=false",
)
_FIGURES: Final = "figures.json"
_MOST_REASON: Final = 600


class BenchmarkFailed(RuleRefused):
    """The harness ended without figures."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the harness is to do.

    Attributes:
        server_url: vLLM server, without /v1.
        served_name: Name under which it knows the variant.
        tokenizer: Folder of the base model.
        max_tokens: Longest prompt that the server takes, with one token of answer.
    """

    run_id: str
    server_url: str
    served_name: str
    tokenizer: Path
    max_tokens: int
    benchmarks: tuple[str, ...]
    most_cases: int | None
    shots: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came out."""

    results: tuple[BenchmarkResult, ...]
    harness: str


class _TaskFile(BaseModel):
    class _Kwargs(BaseModel):
        data_files: dict[str, str] = Field(min_length=1, max_length=1)

    class _Metadata(BaseModel):
        version: float | int | str

    task: str
    dataset_kwargs: _Kwargs
    metadata: _Metadata


class _Samples(BaseModel):
    original: int
    effective: int


class _FiguresFile(BaseModel):
    results: dict[str, dict[str, JsonValue]]
    versions: dict[str, JsonValue]
    samples: dict[str, _Samples] = Field(alias="n-samples")
    higher_is_better: dict[str, dict[str, bool | None]]
    harness: str


class _Tagless(yaml.SafeLoader):
    """Reads task files, whose `!function` tags only the harness follows."""


_Tagless.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


@dataclass(frozen=True, kw_only=True)
class HarnessLimits:
    """What the harness may do.

    Attributes:
        timeout_s: Longest run.
        concurrency: Requests that are out at the same time.
        prompt_likelihoods: Whether servers survive what every benchmark asks; if not, none can be run.
    """

    timeout_s: float
    concurrency: int
    prompt_likelihoods: bool


class LmEval:
    """The harness, with task files of ours over local data.

    Args:
        python: Interpreter of the environment that has lm-evaluation-harness.
        tasks_dir: Task files.
        data_dir: What their `data_files` are below.
        work_dir: Place for caches of unfinished runs.
    """

    def __init__(self, python: Path, *, tasks_dir: Path, data_dir: Path, work_dir: Path, limits: HarnessLimits) -> None:
        # absolute, for the process runs elsewhere; not resolved, for an environment's interpreter is a link
        self._python = python.absolute()
        self._tasks_dir = tasks_dir.absolute()
        self._data_dir = data_dir.absolute()
        self._work_dir = work_dir.absolute()
        self._limits = limits

    def catalogue(self) -> tuple[Benchmark, ...]:
        """Task files by name, with what keeps them from being run."""
        if not self._tasks_dir.is_dir():
            return ()
        return tuple(self._look_at(path) for path in sorted(self._tasks_dir.glob("[a-z]*.yaml")))

    def _look_at(self, path: Path) -> Benchmark:
        try:
            task = _task_file(path)
        except (OSError, ValueError, yaml.YAMLError) as error:
            problem = f"its task file cannot be read: {' '.join(str(error).split())[:200]}"
            return Benchmark(name=path.stem, task_version="unknown", data_file="unknown", problem=problem)
        data_file = next(iter(task.dataset_kwargs.data_files.values()))
        problem = None if (self._data_dir / data_file).is_file() else f"there is no {data_file} in the data folder"
        if not self._limits.prompt_likelihoods:
            problem = "it asks for likelihoods of prompts, which servers here may die of (REGISTRY_PROMPT_LIKELIHOODS)"
        return Benchmark(name=path.stem, task_version=str(task.metadata.version), data_file=data_file, problem=problem)

    async def run(self, order: Order) -> Figures:
        """Runs benchmarks to their figures; what an earlier try of the run was answered is not asked again.

        Raises:
            BenchmarkFailed: the process ended without figures, or did not end in time.
        """
        folder = self._work_dir / order.run_id
        await asyncio.to_thread(self._prepare, folder, order)
        figures_file = folder / _FIGURES
        if not figures_file.exists():
            await self._execute(folder)
        try:
            figures = _FiguresFile.model_validate_json(figures_file.read_bytes())
        except (OSError, ValidationError) as error:
            raise BenchmarkFailed("benchmark.no-figures", "the harness wrote no figures that can be read") from error
        return Figures(results=tuple(_result(name, figures) for name in order.benchmarks), harness=figures.harness)

    async def forget(self, run_id: str) -> None:
        """Removes what a run left on disk."""
        await asyncio.to_thread(shutil.rmtree, self._work_dir / run_id, ignore_errors=True)

    def _prepare(self, folder: Path, order: Order) -> None:
        tasks = folder / "tasks"
        tasks.mkdir(parents=True, exist_ok=True)
        for name in order.benchmarks:
            source = self._tasks_dir / f"{name}.yaml"
            files = {
                split: str(self._data_dir / path)
                for split, path in _task_file(source).dataset_kwargs.data_files.items()
            }
            task = {"include": str(source), "task": name, "dataset_kwargs": {"data_files": files}}
            (tasks / f"{name}.yaml").write_text(yaml.safe_dump(task, allow_unicode=True))
        content: dict[str, JsonValue] = {
            "model_args": {
                "model": order.served_name,
                "base_url": f"{order.server_url}/v1/completions",
                "tokenizer": str(order.tokenizer.absolute()),
                "tokenizer_backend": "huggingface",
                "num_concurrent": self._limits.concurrency,
                "max_length": order.max_tokens,
                "max_retries": 3,
            },
            "benchmarks": list(order.benchmarks),
            "shots": order.shots,
            "most_cases": order.most_cases,
            "cache": str(folder / "answers"),
            "tasks_dir": str(tasks),
        }
        (folder / "order.json").write_text(json.dumps(content))

    async def _execute(self, folder: Path) -> None:
        # nothing of the service's own environment: it holds passwords, and the harness needs none
        with (folder / "log.txt").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "KILL", "--",
                "env", "-i", "PATH=/usr/bin:/bin", f"HOME={folder}", f"HF_HOME={folder / 'hf'}",
                "LANG=C.UTF-8", *_OFFLINE,
                "nice", "-n", "5",
                # -P: modules that lie beside the script must not pass for packages of the same name
                str(self._python), "-P", str(_RUNNER), str(folder / "order.json"), str(folder / _FIGURES),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=folder,
            )  # fmt: skip
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                status = await process.wait()
        except TimeoutError as error:
            raise BenchmarkFailed(
                "benchmark.too-slow", f"it did not end within {self._limits.timeout_s:g} s"
            ) from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if status != 0:
            raise BenchmarkFailed("benchmark.harness-failed", f"the harness ended with {status}: {_tail(folder)}")


def _task_file(path: Path) -> _TaskFile:
    declared: object = yaml.load(path.read_text(), _Tagless)  # noqa: S506 - a SafeLoader that reads tags as text
    task = _TaskFile.model_validate(declared)
    if task.task != path.stem:
        raise ValueError(f"{path.name} declares the task {task.task}")
    return task


def _tail(folder: Path) -> str:
    """The last thing that the process said, which is the error."""
    lines = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
    return " ".join(lines[-1].split())[-_MOST_REASON:] if lines else "it said nothing"


def _result(name: str, figures: _FiguresFile) -> BenchmarkResult:
    return BenchmarkResult(
        name=name,
        task_version=str(figures.versions.get(name, "unknown")),
        cases=figures.samples[name].effective,
        of_cases=figures.samples[name].original,
        metrics=_metrics(figures.results[name], figures.higher_is_better.get(name, {})),
    )


def _metrics(values: dict[str, JsonValue], directions: dict[str, bool | None]) -> tuple[BenchmarkMetric, ...]:
    """Keys are `<metric>,<filter>` and `<metric>_stderr,<filter>`; a standard error may be the text N/A."""
    found: list[BenchmarkMetric] = []
    for key, value in values.items():
        metric, comma, of_filter = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
            continue
        stderr = values.get(f"{metric}_stderr,{of_filter}")
        found.append(
            BenchmarkMetric(
                name=metric if of_filter == "none" else f"{metric}.{of_filter}",
                value=float(value),
                stderr=float(stderr) if isinstance(stderr, int | float) else None,
                higher_is_better=directions.get(metric),
            )
        )
    return tuple(found)
