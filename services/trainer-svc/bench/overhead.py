# ruff: noqa: INP001 - a script, no package
"""What the recipe costs over a bare TRL script: seconds a step of the same LoRA run by both, in turns.

    python services/trainer-svc/bench/overhead.py MODEL_FOLDER [--steps N] [--rounds N]

Samples are of one length and share their instructions, as those of one task do. Timed from the moment at which a process
reports its first step to its last: logging, callbacks and data loading count, starting does not.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.recipes.job_file import JobFile

LIMIT = 1.02  # of the bare script's seconds a step
_INSTRUCTIONS = "You route service requests. Answer with one JSON object that has the fields team and priority."
_WORDS = "printer network login disk mail server badge screen phone backup licence update window cable report".split()  # noqa: SIM905 - readable
_RECIPE = ("-m", "trainer_svc.recipes.sft")
_BARE = (str(Path(__file__).with_name("bare_trl.py")),)


def describe(model: Path, folder: Path, *, steps: int, batch: int) -> Path:
    chance = random.Random(3)  # noqa: S311 - not for secrets
    lines: list[str] = []
    for number in range(steps * batch):
        question = " ".join(chance.choices(_WORDS, k=40))
        answer = json.dumps({"team": chance.choice(_WORDS), "priority": chance.choice(("low", "high"))})
        turns = [("system", _INSTRUCTIONS), ("user", question), ("assistant", answer)]
        messages = [{"role": role, "content": content} for role, content in turns]
        lines.append(json.dumps({"sample_id": f"s{number}", "messages": messages}))
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    job = JobFile(
        job_id="overhead", base_model=model, train_file=folder / "train.jsonl", checkpoint_dir=folder / "checkpoints",
        output_dir=folder / "adapter", checkpoint_every_s=1e9,
        hyperparameters=Hyperparameters(
            lora_rank=8, batch_size=batch, num_epochs=1, max_seq_length=256, checkpoint_every_steps=10**9
        ),
    )  # fmt: skip
    file = folder / "job.json"
    file.write_text(job.model_dump_json())
    return file


def seconds_a_step(command: tuple[str, ...], model: Path, *, steps: int, batch: int) -> float:
    """Raises CalledProcessError if the run fails, ValueError if it does not report every step."""
    with tempfile.TemporaryDirectory() as folder:
        job = describe(model, Path(folder), steps=steps, batch=batch)
        with subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-u", *command, str(job)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            reported = [
                time.monotonic() for line in process.stdout if '"kind":"step"' in line or line.startswith("{'loss'")
            ]
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    if len(reported) != steps:
        message = f"{command[-1]} reported {len(reported)} steps of {steps}"
        raise ValueError(message)
    return (reported[-1] - reported[0]) / (steps - 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of an instruction-tuned model")
    parser.add_argument("--steps", type=int, default=10, help="optimizer steps of each run")
    parser.add_argument("--batch", type=int, default=4, help="samples a step")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each, in turns")
    chosen = parser.parse_args()
    bare: list[float] = []
    recipe: list[float] = []
    for number in range(chosen.rounds):
        bare.append(seconds_a_step(_BARE, chosen.model, steps=chosen.steps, batch=chosen.batch))
        recipe.append(seconds_a_step(_RECIPE, chosen.model, steps=chosen.steps, batch=chosen.batch))
        sys.stdout.write(f"round {number + 1}: bare TRL {bare[-1]:.3f} s a step, recipe {recipe[-1]:.3f} s a step\n")
    ratio = min(recipe) / min(bare)  # what else the machine does can only add time
    sys.stdout.write(f"recipe over bare TRL: {ratio:.3f} of the seconds a step, limit {LIMIT}\n")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
