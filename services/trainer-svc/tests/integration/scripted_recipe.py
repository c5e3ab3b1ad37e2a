"""A training process that does what its data says, in milliseconds: the worker is tested against every way to end.

Each line of the training file is one act: {"say": LINE}, {"say_raw": TEXT}, {"adapter": TEXT} (writes the adapter, says finished),
{"exit": STATUS}, {"signal": NUMBER} (to itself), {"hang": true} (waits for SIGTERM, then exits with 75), {"sleep": S}.
With "attempt": N it happens in that attempt only; {"hang": true, "deaf": true} does not heed SIGTERM.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from pydantic import JsonValue

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_STOPPED, Finished, ProgressStream, Stopped, parse_line

Act = dict[str, JsonValue]


def perform(act: Act, job: JobFile, progress: ProgressStream) -> None:
    if "say" in act:
        progress.say(parse_line(json.dumps(act["say"])))
    if "say_raw" in act:
        progress._file.write(f"{act['say_raw']}\n")
    if "adapter" in act:
        job.output_dir.mkdir(parents=True, exist_ok=True)
        (job.output_dir / "adapter_model.safetensors").write_text(str(act["adapter"]))
        progress.say(
            Finished(step=3, adapter_dir=str(job.output_dir), final_loss=0.5, eval_loss=0.6, train_seconds=1, tokens=9)
        )
    if "sleep" in act:
        time.sleep(float(str(act["sleep"])))
    if "hang" in act:
        hang(progress, deaf=bool(act.get("deaf")))
    if "signal" in act:
        os.kill(os.getpid(), int(str(act["signal"])))
    if "exit" in act:
        sys.exit(int(str(act["exit"])))


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
