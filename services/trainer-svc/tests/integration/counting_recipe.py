"""A recipe that counts, alone or in a group, until it is asked to stop: what starts recipes is tested with it in seconds."""

import os
import sys
import time
import traceback
from pathlib import Path

import torch.distributed as dist

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_STOPPED, Checkpointed, ProgressStream, Stopped
from trainer_svc.recipes.ranks import agreed, is_first
from trainer_svc.recipes.sharding import EXIT_PEER_LOST
from trainer_svc.recipes.stopping import Stop, ignore_stops


def count(job: JobFile, progress: ProgressStream, stop: Stop) -> int:
    step = 0
    while True:
        step += 1
        stopped = agreed(stop.asked)
        if is_first():
            pids = job.checkpoint_dir.with_name("pids")
            line = Stopped(step=step) if stopped else Checkpointed(step=step, epoch=0, path=str(pids), size_bytes=1)
            progress.say(line)
        if stopped:
            return EXIT_STOPPED
        time.sleep(0.02)


def main() -> int:
    progress = ProgressStream.taking_stdout()
    stop = Stop()
    job = JobFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    if job.world_size > 1:
        dist.init_process_group("gloo")
    rank = dist.get_rank() if job.world_size > 1 else 0
    job.checkpoint_dir.with_name(f"pid-{rank}").write_text(str(os.getpid()))
    try:
        return count(job, progress, stop)
    except RuntimeError as error:
        traceback.print_exception(error)
        return EXIT_PEER_LOST
    finally:
        ignore_stops()
        if dist.is_initialized():  # threads of the group that still run when the process ends would abort it
            dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
