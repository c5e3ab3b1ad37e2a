# ruff: noqa: INP001 - a script, no package
"""The same LoRA run as one writes it with TRL alone: what `overhead.py` measures the recipe against.

python services/trainer-svc/bench/bare_trl.py JOB_FILE
"""

import json
import sys
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.models import computing_dtype


def main() -> None:
    job = JobFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    chosen, dtype = job.hyperparameters, computing_dtype()
    if job.cpu_threads is not None:
        torch.set_num_threads(job.cpu_threads)
    samples = [json.loads(line)["messages"] for line in job.train_file.read_text().splitlines()]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job.base_model, dtype=dtype),
        args=SFTConfig(
            output_dir=str(job.checkpoint_dir),
            per_device_train_batch_size=chosen.batch_size,
            num_train_epochs=chosen.num_epochs,
            learning_rate=chosen.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=chosen.warmup_ratio,
            max_length=chosen.max_seq_length,
            seed=chosen.seed,
            use_cpu=not torch.cuda.is_available(),
            bf16=dtype is torch.bfloat16,
            gradient_checkpointing=torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            completion_only_loss=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": turns[:-1], "completion": turns[-1:]} for turns in samples]),
        processing_class=AutoTokenizer.from_pretrained(job.base_model),
        peft_config=LoraConfig(
            r=chosen.lora_rank, lora_alpha=chosen.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )
    trainer.train()


if __name__ == "__main__":
    main()
