"""What every objective tells its trainer; what it tells besides stands in its own file."""

from typing import TypedDict, cast

import torch

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.models import computing_dtype
from trainer_svc.recipes.sharding import Hardware, Json, sharding_arguments


class CommonArguments(TypedDict):
    """Fields of `transformers.TrainingArguments`, and `max_length` of TRL's."""

    output_dir: str
    per_device_train_batch_size: int
    per_device_eval_batch_size: int
    gradient_accumulation_steps: int
    num_train_epochs: float
    learning_rate: float
    lr_scheduler_type: str
    warmup_steps: float
    weight_decay: float
    max_length: int
    seed: int
    use_cpu: bool
    bf16: bool
    gradient_checkpointing: bool
    accelerator_config: dict[str, Json] | None
    deepspeed: dict[str, Json] | None
    fsdp: str | None
    fsdp_config: dict[str, Json] | None
    dataloader_pin_memory: bool
    include_num_input_tokens_seen: str
    logging_nan_inf_filter: bool
    logging_strategy: str
    eval_strategy: str
    save_strategy: str
    report_to: str
    disable_tqdm: bool


def common_arguments(job: JobFile) -> CommonArguments:
    """Raises TrainingFailed if the job cannot be shared as it says."""
    chosen = job.hyperparameters
    on_cuda = torch.cuda.is_available()
    # below 1 it is a share of all steps
    warmup = chosen.warmup_steps if chosen.warmup_steps is not None else min(chosen.warmup_ratio, 1 - 1e-9)
    shared = sharding_arguments(job, Hardware(on_cuda))
    return CommonArguments(
        gradient_accumulation_steps=shared["gradient_accumulation_steps"],
        use_cpu=shared["use_cpu"],
        gradient_checkpointing=shared["gradient_checkpointing"],
        accelerator_config=shared["accelerator_config"],
        deepspeed=shared["deepspeed"],
        fsdp=cast("str | None", shared["fsdp"]),  # Transformers takes a flag, TRL's annotation has not followed
        fsdp_config=shared["fsdp_config"],
        output_dir=str(job.checkpoint_dir),
        per_device_train_batch_size=chosen.batch_size,
        per_device_eval_batch_size=chosen.batch_size,
        num_train_epochs=chosen.num_epochs,
        learning_rate=chosen.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=warmup,
        weight_decay=chosen.weight_decay,
        max_length=chosen.max_seq_length,
        seed=chosen.seed,
        bf16=computing_dtype() is torch.bfloat16,
        dataloader_pin_memory=on_cuda,
        include_num_input_tokens_seen="non_padding",
        logging_nan_inf_filter=False,  # NaN must be seen
        logging_strategy="no",  # `Pace` alone decides when to log, evaluate and checkpoint
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
