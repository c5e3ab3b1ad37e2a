"""The same job by Axolotl, where it is installed: `python -m trainer_svc.recipes.axolotl JOB_FILE`.

Names of fields are those of Axolotl 0.18's own schemas. It learns sft and dpo with the model's chat template; for KTO it
would write templates of its own, and it does not distil.
"""

import sys
from pathlib import Path

import torch
from pydantic import JsonValue

from trainer_svc.recipes.conversations import Row, answered, preferred
from trainer_svc.recipes.foreign import Plan, Settings, files_folder, main, supported_use, turns
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.samples import IMITATION, PAIRS, Sample, Use

_USES: dict[str, Use] = {"sft": IMITATION, "dpo": PAIRS}
_GPU_KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")  # it takes them by itself, with or without a GPU


def plan(job: JobFile) -> Plan:
    """What Axolotl is told and given.

    Raises:
        TrainingFailed: it cannot do what the job asks.
    """
    use = supported_use(job, _USES, trainer="Axolotl")
    return Plan(
        use=use,
        row=_pair if job.objective == "dpo" else _conversation,
        files={"config.yaml": settings(job)},
        command=("axolotl", "train", str(files_folder(job) / "config.yaml")),
    )


def settings(job: JobFile) -> Settings:
    """Axolotl's configuration."""
    chosen, folder = job.hyperparameters, files_folder(job)
    warmup: Settings = (
        {"warmup_ratio": chosen.warmup_ratio} if chosen.warmup_steps is None else {"warmup_steps": chosen.warmup_steps}
    )
    told: Settings = {
        "base_model": str(job.base_model),
        "output_dir": str(job.checkpoint_dir),
        "dataset_prepared_path": str(folder / "prepared"),
        "datasets": [_dataset(job, folder / "train.jsonl")],
        "chat_template": "tokenizer_default",
        "sequence_len": chosen.max_seq_length,
        "sample_packing": chosen.packing,
        "eval_sample_packing": False,
        "micro_batch_size": chosen.batch_size,
        "gradient_accumulation_steps": chosen.gradient_accumulation_steps,
        "num_epochs": chosen.num_epochs,
        "learning_rate": chosen.learning_rate,
        "lr_scheduler": "cosine",
        "optimizer": "adamw_torch",
        "weight_decay": chosen.weight_decay,
        "seed": chosen.seed,
        "bf16": "auto",
        "gradient_checkpointing": chosen.gradient_checkpointing is not False,
        "logging_steps": job.log_every_steps,
        "save_steps": chosen.checkpoint_every_steps,
        "save_total_limit": chosen.keep_checkpoints,
        "auto_resume_from_checkpoints": True,
        "train_on_inputs": False,
    }
    return told | warmup | _method(job) | _watching(job, folder) | _objective(job)


def _method(job: JobFile) -> Settings:
    chosen = job.hyperparameters
    if job.method == "full":
        return {}
    kernels: Settings = {} if torch.cuda.is_available() else dict.fromkeys(_GPU_KERNELS, False)
    return kernels | {
        "adapter": job.method,
        "load_in_4bit": job.method == "qlora",
        "lora_r": chosen.lora_rank,
        "lora_alpha": chosen.lora_alpha,
        "lora_dropout": chosen.lora_dropout,
        "lora_target_linear": True,
        "peft_use_rslora": chosen.rs_lora,
        "peft_use_dora": chosen.dora,
    }


def _watching(job: JobFile, folder: Path) -> Settings:
    chosen = job.hyperparameters
    if job.validation_file is None:
        return {"val_set_size": 0.0}
    watched: Settings = {"test_datasets": [_dataset(job, folder / "validation.jsonl")]}
    watched |= {"evals_per_epoch": 1} if chosen.eval_every_steps is None else {"eval_steps": chosen.eval_every_steps}
    if chosen.early_stopping_patience is not None:
        watched |= {"early_stopping_patience": chosen.early_stopping_patience, "load_best_model_at_end": True}
    return watched


def _objective(job: JobFile) -> Settings:
    return {"rl": "dpo", "rl_beta": job.hyperparameters.beta} if job.objective == "dpo" else {}


def _dataset(job: JobFile, file: Path) -> dict[str, JsonValue]:
    placed: dict[str, JsonValue] = {"path": str(file), "split": "train"}
    if job.objective == "dpo":
        fields = {"field_messages": "messages", "field_chosen": "chosen", "field_rejected": "rejected"}
        return placed | {"type": "chat_template.default"} | fields
    # only the turn that says so is learned: the last
    learned: dict[str, JsonValue] = {"roles_to_train": [], "train_on_eos": "turn", "message_field_training": "train"}
    return placed | {"type": "chat_template", "field_messages": "messages"} | learned


def _conversation(sample: Sample) -> Row:
    row = answered(sample)
    asked = [turn | {"train": False} for turn in turns(row["prompt"])]
    told = [turn | {"train": True} for turn in turns(row["completion"])]
    messages: Row = {"messages": asked + told}
    return messages if sample.tools is None else messages | {"tools": sample.tools}


def _pair(sample: Sample) -> Row:
    row = preferred(sample)
    chosen, rejected = turns(row["chosen"])[0], turns(row["rejected"])[0]
    return {"messages": row["prompt"], "chosen": chosen, "rejected": rejected}


if __name__ == "__main__":
    sys.exit(main(plan))
