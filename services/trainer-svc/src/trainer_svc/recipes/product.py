"""What recipes share that make something of a finished model: merged weights, another format, fewer bits, zeros.

None of them has steps to resume from: each writes a folder that appears whole or not at all, and starts anew after a crash.
"""

import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from loopwright.telemetry import continued_span, set_up_tracing
from trainer_svc.recipes.card import CardFacts, write_card
from trainer_svc.recipes.failures import explain
from trainer_svc.recipes.finishing import sign
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import (
    EXIT_FAILED,
    EXIT_STOPPED,
    Failed,
    Finished,
    ProgressStream,
    Started,
    Stopped,
)
from trainer_svc.recipes.stopping import ignore_stops

Make = Callable[[JobFile, Path, ProgressStream], CardFacts]  # fills a folder and says what is known of it


class _Terminated(BaseException):
    """SIGTERM has come; passes through handlers of ordinary errors."""


def produce(make: Make, job: JobFile, progress: ProgressStream) -> int:
    """Makes one product, signed and with its card.

    Returns:
        Exit status: 0, `EXIT_STOPPED` or `EXIT_FAILED`.
    """
    target = job.output_dir
    partial = target.with_name(f".{target.name}.partial")
    began = time.monotonic()
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        if job.cpu_threads is not None:
            torch.set_num_threads(job.cpu_threads)
        facts = make(job, partial, progress)
        write_card(partial, facts)
        sign(partial, job)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    except _Terminated:
        progress.say(Stopped(step=0))
        return EXIT_STOPPED
    except Exception as error:  # noqa: BLE001 - whatever ends a run is said in words
        why = explain(error)
        progress.say(Failed(code=why.code, reason=why.reason, advice=why.advice))
        traceback.print_exception(error)
        return EXIT_FAILED
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    seconds = time.monotonic() - began
    progress.say(Finished(step=1, adapter_dir=str(target), eval_loss=facts.eval_loss, train_seconds=seconds, tokens=0))
    return 0


def say_started(progress: ProgressStream, model: PreTrainedModel) -> None:
    """The model is loaded; its one step of work follows."""
    progress.say(
        Started(
            step=0,
            total_steps=1,
            device=str(model.device),
            precision=str(model.dtype).removeprefix("torch."),
            train_samples=0,
            validation_samples=0,
            trainable_parameters=0,
        )
    )


def save_whole(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, *, dtype: torch.dtype) -> None:
    """Writes weights in safetensors, and the tokenizer with its chat template."""
    model.to(dtype)  # pyright: ignore[reportArgumentType] - a decorator hides its type
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(make: Make) -> int:
    """Runs the job file that the command line names."""
    progress = ProgressStream.taking_stdout()
    signal.signal(signal.SIGTERM, _terminate)
    job = JobFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    trace = job.trace
    service = f"{job.kind}-{job.job_id}-{job.attempt}"
    tracing = set_up_tracing(service, otlp_endpoint=trace.otlp_endpoint, trace_dir=trace.trace_dir)
    try:
        with continued_span("trainer.attempt", traceparent=trace.traceparent, attributes={"job_id": job.job_id}):
            return produce(make, job, progress)
    finally:
        ignore_stops()
        tracing.shutdown()


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated
