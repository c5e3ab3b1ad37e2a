"""Base models, tokenizers and adapters as a job's method wants them."""

from pathlib import Path

import torch
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile


def computing_dtype() -> torch.dtype:
    """bfloat16 where the hardware computes in it, else float32."""
    return torch.bfloat16 if torch.cuda.is_available() or _cpu_computes_in_bfloat16() else torch.float32


def precision(job: JobFile) -> str:
    """What a run computes in, and what its base model is kept in if that is something else."""
    name = str(computing_dtype()).removeprefix("torch.")
    return f"{name} over 4-bit NormalFloat" if job.method == "qlora" else name


def _cpu_computes_in_bfloat16() -> bool:
    """Without such instructions bfloat16 is emulated: measured six times slower than float32 on AVX2."""
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The base model's tokenizer, with the model's own chat template.

    Raises:
        TrainingFailed: there is no tokenizer, or it has no template.
    """
    tokenizer = _read_tokenizer(folder)
    if tokenizer.chat_template is None:
        reason = "the base model's tokenizer has no chat template, and one is never guessed"
        raise TrainingFailed("training.no-chat-template", reason, advice="use an instruction-tuned base model")
    return tokenizer


def load_vocabulary(folder: Path) -> dict[str, int]:
    """Ids of a model's tokens.

    Raises:
        TrainingFailed: there is no tokenizer.
    """
    return _read_tokenizer(folder).get_vocab()


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise _no_base_model(folder, error) from error


def load_model(job: JobFile) -> PreTrainedModel:
    """The base model in the precision of the job's method.

    QLoRA (arXiv:2305.14314) keeps it in 4-bit NormalFloat with double quantisation. That runs on a CPU as well, where
    it saves memory and costs time.

    Raises:
        TrainingFailed: the folder holds no model.
    """
    dtype = computing_dtype()
    quantization = None
    if job.method == "qlora":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    try:
        return AutoModelForCausalLM.from_pretrained(
            job.base_model,
            # full fine-tuning keeps float32 weights: bfloat16 ones would lose most small updates
            dtype=torch.float32 if job.method == "full" else dtype,
            quantization_config=quantization,
        )
    except (OSError, ValueError) as error:
        raise _no_base_model(job.base_model, error) from error


def _no_base_model(folder: Path, error: Exception) -> TrainingFailed:
    reason = f"the base model in {folder} cannot be loaded: {str(error)[:200]}"
    return TrainingFailed("training.no-base-model", reason, advice="check TRAINER_BASE_MODELS and the model folder")


def adapter_config(job: JobFile) -> LoraConfig | None:
    """LoRA on all linear layers; None for full fine-tuning."""
    if job.method == "full":
        return None
    chosen = job.hyperparameters
    return LoraConfig(
        r=chosen.lora_rank,
        lora_alpha=chosen.lora_alpha,
        lora_dropout=chosen.lora_dropout,
        use_rslora=chosen.rs_lora,  # arXiv:2312.03732
        use_dora=chosen.dora,  # arXiv:2402.09353
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def restore_adapter_precision(model: torch.nn.Module) -> None:
    """Gives the adapter over 4-bit weights float32 again where nothing computes in bfloat16.

    TRL makes such adapters bfloat16; emulated, a step takes eight times as long and small updates are lost.
    """
    if computing_dtype() is torch.float32:
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
