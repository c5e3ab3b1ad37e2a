"""A training process whose validation loss depends on its settings alone: least at a rate of 0.003 and rank 32.

It evaluates once an epoch, from three times what it will come to downwards, and heeds SIGTERM. With poor settings it
takes so long over its last epoch that even a busy machine finds the time to stop it.
"""

import math
import sys
import time
from pathlib import Path

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_STOPPED, Evaluated, Finished, ProgressStream, Started, Stopped
from trainer_svc.recipes.stopping import Stop, ignore_stops

_EPOCH_S = 0.15
_LONG_EPOCH_S = 6
_POOR_LOSS = 1.0


def lowest_loss(learning_rate: float, lora_rank: int) -> float:
    return 0.1 + (math.log10(learning_rate) - math.log10(0.003)) ** 2 + (0 if lora_rank == 32 else 0.5)


def loss_after(epoch: int, epochs: int, lowest: float) -> float:
    return lowest * (1 + 2 * (epochs - epoch) / epochs)


def main() -> None:
    progress = ProgressStream.taking_stdout()
    stop = Stop()
    job = JobFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    chosen, epochs = job.hyperparameters, int(job.hyperparameters.num_epochs)
    lowest = lowest_loss(chosen.learning_rate, chosen.lora_rank)
    progress.say(
        Started(
            step=0, total_steps=epochs, device="cpu", precision="float32", train_samples=1, validation_samples=1,
            trainable_parameters=1,
        )
    )  # fmt: skip
    for epoch in range(1, epochs + 1):
        until = time.monotonic() + (_LONG_EPOCH_S if epoch == epochs and lowest > _POOR_LOSS else _EPOCH_S)
        while time.monotonic() < until and not stop.asked:
            time.sleep(0.02)
        if stop.asked:
            progress.say(Stopped(step=epoch))
            ignore_stops()
            sys.exit(EXIT_STOPPED)
        loss = loss_after(epoch, epochs, lowest)
        progress.say(Evaluated(step=epoch, total_steps=epochs, epoch=epoch, eval_loss=loss, perplexity=math.exp(loss)))
    job.output_dir.mkdir(parents=True, exist_ok=True)
    (job.output_dir / "adapter_model.safetensors").write_text(f"rate {chosen.learning_rate}")
    progress.say(
        Finished(
            step=epochs, adapter_dir=str(job.output_dir), final_loss=lowest, eval_loss=lowest, train_seconds=1, tokens=9
        )
    )


if __name__ == "__main__":
    main()
