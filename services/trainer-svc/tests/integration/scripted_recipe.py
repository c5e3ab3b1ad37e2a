"""A training process that does what its data says, in milliseconds: the worker is tested against every way to end.

Each line of the training file is one act: {"say": LINE}, {"say_raw": TEXT}, {"adapter": TEXT} (writes the adapter, says finished),
{"train": N, "every": N, "pause_s": S} (steps up to N from after the newest checkpoint, a checkpoint every so many, all the while with
a lock on its folder: a second process that finds it locked leaves a file `twice`), {"checkpoint": STEP} (makes its folder and says so), {"resume": N} (says steps up to N, from after the newest checkpoint),
{"exit": STATUS}, {"signal": NUMBER} (to itself), {"hang": true} (waits for SIGTERM, then exits with 75), {"sleep": S}.
With "attempt": N it happens in that attempt only; {"hang": true, "deaf": true} does not heed SIGTERM.
"""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

from pydantic import JsonValue

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_STOPPED, Checkpointed, Finished, ProgressStream, Stopped, parse_line

Act = dict[str, JsonValue]


def perform(act: Act, job: JobFile, progress: ProgressStream) -> None:
    if not speak(act, job, progress):
        behave(act, progress)


def speak(act: Act, job: JobFile, progress: ProgressStream) -> bool:
    """Does an act that trains, or pretends to; False if it is another one."""
    match act:
        case {"say": line}:
            progress.say(parse_line(json.dumps(line)))
        case {"say_raw": text}:
            progress._file.write(f"{text}\n")
        case {"adapter": text}:
            write_adapter(str(text), job, progress)
        case {"checkpoint": step}:
            write_checkpoint(int(str(step)), job, progress)
        case {"resume": last}:
            for number in range(newest_step(job) + 1, int(str(last)) + 1):
                progress.say(parse_line(json.dumps(a_step(number))))
        case {"train": _}:
            train(act, job, progress)
        case _:
            return False
    return True


def behave(act: Act, progress: ProgressStream) -> None:
    """Waits, or comes to an end."""
    match act:
        case {"sleep": seconds}:
            time.sleep(float(str(seconds)))
        case {"hang": _}:
            hang(progress, deaf=bool(act.get("deaf")))
        case {"signal": number}:
            os.kill(os.getpid(), int(str(number)))
        case {"exit": status}:
            sys.exit(int(str(status)))
        case _:
            raise ValueError(act)


def write_adapter(text: str, job: JobFile, progress: ProgressStream) -> None:
    job.output_dir.mkdir(parents=True, exist_ok=True)
    (job.output_dir / "adapter_model.safetensors").write_text(text)
    progress.say(
        Finished(step=3, adapter_dir=str(job.output_dir), final_loss=0.5, eval_loss=0.6, train_seconds=1, tokens=9)
    )


def write_checkpoint(step: int, job: JobFile, progress: ProgressStream) -> None:
    folder = job.checkpoint_dir / f"checkpoint-{step}"
    folder.mkdir(parents=True, exist_ok=True)
    progress.say(Checkpointed(step=step, epoch=0.5, path=str(folder), size_bytes=9))


def train(act: Act, job: JobFile, progress: ProgressStream) -> None:
    folder = job.checkpoint_dir.parent
    lock = (folder / "running.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (folder / "twice").touch()
    for number in range(newest_step(job) + 1, int(str(act["train"])) + 1):
        progress.say(parse_line(json.dumps(a_step(number))))
        time.sleep(float(str(act["pause_s"])))
        if number % int(str(act["every"])) == 0:
            write_checkpoint(number, job, progress)


def newest_step(job: JobFile) -> int:
    folders = job.checkpoint_dir.glob("checkpoint-*")
    return max((int(folder.name.rpartition("-")[2]) for folder in folders), default=0)


def a_step(number: int) -> Act:
    return {
        "kind": "step", "step": number, "total_steps": 9, "epoch": number / 9, "loss": 1 / number, "perplexity": 2,
        "learning_rate": 0.001, "grad_norm": 1, "tokens_per_s": 100, "device_memory_bytes": 5, "eta_s": 9 - number,
    }  # fmt: skip


def hang(progress: ProgressStream, *, deaf: bool) -> None:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    while deaf or not asked:
        time.sleep(0.02)
    progress.say(Stopped(step=1))
    sys.exit(EXIT_STOPPED)


def main() -> None:
    progress = ProgressStream.taking_stdout()
    job = JobFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    for line in job.train_file.read_text().splitlines():
        act = json.loads(line)
        if act.get("attempt", job.attempt) == job.attempt:
            perform(act, job, progress)


if __name__ == "__main__":
    main()
