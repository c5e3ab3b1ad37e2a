"""The same job by LLaMA-Factory, where it is installed: `python -m trainer_svc.recipes.llama_factory JOB_FILE`.

Names of fields are those of LLaMA-Factory 0.9's own arguments. It learns sft, dpo and kto; no template is named, so that
it reads the model's. It does not distil.
"""

import json
import sys
from typing import cast

from pydantic import JsonValue

from trainer_svc.recipes.conversations import Row, answered, preferred
from trainer_svc.recipes.foreign import Plan, Settings, files_folder, main, supported_use, turns
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.samples import IMITATION, PAIRS, THUMBS, Sample, Use

_USES: dict[str, Use] = {"sft": IMITATION, "dpo": PAIRS, "kto": THUMBS}
_TAGS: dict[str, JsonValue] = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
    "observation_tag": "tool",
    "function_tag": "function_call",
}


def plan(job: JobFile) -> Plan:
    """What LLaMA-Factory is told and given.

    Raises:
        TrainingFailed: it cannot do what the job asks.
    """
    return Plan(
        use=supported_use(job, _USES, trainer="LLaMA-Factory"),
        row=_pair if job.objective == "dpo" else _conversation,
        files={"config.yaml": settings(job), "dataset_info.json": datasets(job)},
        command=("llamafactory-cli", "train", str(files_folder(job) / "config.yaml")),
    )


def settings(job: JobFile) -> Settings:
    """LLaMA-Factory's arguments."""
    chosen = job.hyperparameters
    told: Settings = {
        "model_name_or_path": str(job.base_model),
        "stage": job.objective,
        "do_train": True,
        "finetuning_type": "full" if job.method == "full" else "lora",
        "dataset": "train",
        "dataset_dir": str(files_folder(job)),
        "cutoff_len": chosen.max_seq_length,
        "packing": chosen.packing,
        "neat_packing": chosen.packing,  # keeps packed samples apart
        "mask_history": job.objective == "sft",  # only the last turn is learned
        "output_dir": str(job.checkpoint_dir),
        "per_device_train_batch_size": chosen.batch_size,
        "gradient_accumulation_steps": chosen.gradient_accumulation_steps,
        "num_train_epochs": chosen.num_epochs,
        "learning_rate": chosen.learning_rate,
        "lr_scheduler_type": "cosine",
        # below 1 it is a share of all steps
        "warmup_steps": chosen.warmup_ratio if chosen.warmup_steps is None else chosen.warmup_steps,
        "weight_decay": chosen.weight_decay,
        "seed": chosen.seed,
        "disable_gradient_checkpointing": chosen.gradient_checkpointing is False,
        "logging_steps": job.log_every_steps,
        "save_steps": chosen.checkpoint_every_steps,
        "save_total_limit": chosen.keep_checkpoints,
        "report_to": "none",
    }
    return told | _method(job) | _watching(job) | ({} if job.objective == "sft" else {"pref_beta": chosen.beta})


def datasets(job: JobFile) -> Settings:
    """The description of both splits that LLaMA-Factory wants beside them."""
    columns: dict[str, JsonValue] = {"messages": "messages", "tools": "tools"}
    if job.objective == "dpo":
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    if job.objective == "kto":
        columns |= {"kto_tag": "kto_tag"}
    shape: dict[str, JsonValue] = {
        "formatting": "sharegpt",
        "ranking": job.objective == "dpo",
        "columns": columns,
        "tags": _TAGS,
    }
    names = ("train",) if job.validation_file is None else ("train", "validation")
    return {name: {"file_name": f"{name}.jsonl"} | shape for name in names}


def _method(job: JobFile) -> Settings:
    chosen = job.hyperparameters
    if job.method == "full":
        return {}
    lora: Settings = {
        "lora_rank": chosen.lora_rank,
        "lora_alpha": chosen.lora_alpha,
        "lora_dropout": chosen.lora_dropout,
        "lora_target": "all",
        "use_rslora": chosen.rs_lora,
        "use_dora": chosen.dora,
    }
    four_bits: Settings = {
        "quantization_method": "bnb",
        "quantization_bit": 4,
        "quantization_type": "nf4",
        "double_quantization": True,
    }
    return lora | four_bits if job.method == "qlora" else lora


def _watching(job: JobFile) -> Settings:
    chosen = job.hyperparameters
    if job.validation_file is None:
        return {}
    watched: Settings = {"eval_dataset": "validation", "per_device_eval_batch_size": chosen.batch_size}
    if chosen.eval_every_steps is None:
        watched |= {"eval_strategy": "epoch"}
    else:
        watched |= {"eval_strategy": "steps", "eval_steps": chosen.eval_every_steps}
    if chosen.early_stopping_patience is not None:
        best: Settings = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
        # the best can be kept only if checkpoints and evaluations fall on the same steps
        best |= {"save_strategy": watched["eval_strategy"], "save_steps": chosen.eval_every_steps or 1}
        watched |= best | {"early_stopping_steps": chosen.early_stopping_patience}
    return watched


def _conversation(sample: Sample) -> Row:
    row = answered(sample)
    messages = [_plain(turn) for turn in turns(row["prompt"]) + turns(row["completion"])]
    told: Row = {"messages": messages, "tools": row["tools"] or ""}
    return told if sample.thumb is None else told | {"kto_tag": sample.thumb}


def _pair(sample: Sample) -> Row:
    row = preferred(sample)
    chosen, rejected = turns(row["chosen"])[0], turns(row["rejected"])[0]
    asked = [_plain(turn) for turn in turns(row["prompt"])]
    return {"messages": asked, "tools": row["tools"] or "", "chosen": _plain(chosen), "rejected": _plain(rejected)}


def _plain(turn: Row) -> Row:
    """A turn in ShareGPT's manner: one that calls tools has a role of its own, and the calls as its content."""
    calls = cast("list[Row] | None", turn.get("tool_calls"))
    if calls is None:
        return turn
    return {"role": "function_call", "content": json.dumps([call["function"] for call in calls], ensure_ascii=False)}


if __name__ == "__main__":
    sys.exit(main(plan))
