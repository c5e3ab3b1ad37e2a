"""Supervised fine-tuning, read from top to bottom: `python -m trainer_svc.recipes.sft JOB_FILE`.

Learns the answers of conversations with LoRA or in full, on one CPU or CUDA device. Says what it does as JSON lines on
standard output (`progress.py`), checkpoints and exits with 75 on SIGTERM, resumes from the newest complete checkpoint.
"""

import shutil
import sys
import traceback
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
)
from trl.trainer.sft_config import SFTConfig

from loopwright.telemetry import continued_span, set_up_tracing
from trainer_svc.recipes.answer_trainer import AnswerTrainer
from trainer_svc.recipes.checkpoints import discard_incomplete, newest_complete
from trainer_svc.recipes.failures import TrainingFailed, explain
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.pace import Pace, Stop, best_eval_loss, final_loss
from trainer_svc.recipes.progress import EXIT_FAILED, EXIT_STOPPED, Failed, Finished, ProgressStream, Stopped
from trainer_svc.recipes.samples import Sample, read_samples
from trainer_svc.recipes.tracking import Tracker


class SupervisedFineTuning:
    """One attempt at one job: setup → train → save → cleanup.

    Features: LoRA on all linear layers, full fine-tuning, QLoRA (4-bit, CUDA only); loss on answers only; bfloat16
    where the hardware computes in it, else float32; validation loss after every epoch; bit-identical resume on CPU.

    Raises:
        TrainingFailed: from setup and train, with a reason for people.
    """

    def __init__(self, job: JobFile, progress: ProgressStream, stop: Stop) -> None:
        self._job = job
        self._progress = progress
        self._stop = stop
        self._tracker = Tracker(job.tracking)
        self._on_cuda = torch.cuda.is_available()
        self._dtype = torch.bfloat16 if self._on_cuda or _cpu_computes_in_bfloat16() else torch.float32

    def setup(self) -> None:
        """Checks the job, loads data and model, builds the trainer."""
        job = self._job
        if job.method == "qlora" and not self._on_cuda:
            reason = "QLoRA needs a CUDA device: its 4-bit kernels do not run on a CPU"
            raise TrainingFailed("training.needs-cuda", reason, advice="use method lora, or give the job a CUDA slot")
        if job.cpu_threads is not None:
            torch.set_num_threads(job.cpu_threads)
        train = read_samples(job.train_file)
        validation = read_samples(job.validation_file) if job.validation_file is not None else []
        self._tokenizer = self._load_tokenizer()
        self._tracker.start(self._parameters(len(train), len(validation)))
        self._pace = Pace(job, self._progress, self._stop, tracker=self._tracker, watched=len(validation))
        self._trainer = AnswerTrainer(
            model=self._load_model(),
            args=self._arguments(),
            train_dataset=_as_dataset(train),
            eval_dataset=_as_dataset(validation) if validation else None,
            processing_class=self._tokenizer,
            peft_config=None if job.method == "full" else self._adapter_config(),
            callbacks=[self._pace],
        )
        self._trainer.remove_callback(PrinterCallback)
        if self._trainer.samples_left == 0:
            reason = f"no answer fits into {job.hyperparameters.max_seq_length} tokens"
            raise TrainingFailed("training.no-data", reason, advice="raise max_seq_length, or shorten the prompts")

    def train(self) -> None:
        """Takes the remaining steps, from the newest complete checkpoint if there is one."""
        if self._stop.asked:
            return
        discard_incomplete(self._job.checkpoint_dir)
        checkpoint = newest_complete(self._job.checkpoint_dir)
        self._trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    @property
    def stopped(self) -> bool:
        """Whether steps are left because somebody asked to stop."""
        state = self._trainer.state
        return self._stop.asked and (state.max_steps == 0 or state.global_step < state.max_steps)

    def save(self) -> None:
        """Writes the adapter folder under another name and renames it, so that it is whole or absent."""
        target = self._job.output_dir
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        model = self._trainer.model
        assert isinstance(model, PreTrainedModel | PeftModel)
        if isinstance(model, PeftModel):
            adapter = model.peft_config["default"]
            assert isinstance(adapter, LoraConfig)
            assert adapter.target_modules is not None
            # a set's order differs from process to process, and the folder is named by its content
            adapter.target_modules = sorted(adapter.target_modules)
        else:
            self._tokenizer.save_pretrained(partial)
        model.save_pretrained(str(partial))
        partial.replace(target)
        pace = self._pace
        self._progress.say(
            Finished(
                step=self._trainer.state.global_step,
                adapter_dir=str(target),
                final_loss=final_loss(self._trainer.state),
                eval_loss=best_eval_loss(self._trainer.state),
                train_seconds=pace.step_seconds,
                tokens=pace.tokens,
            )
        )

    def say_stopped(self) -> None:
        self._progress.say(Stopped(step=self._trainer.state.global_step))

    def cleanup(self) -> None:
        """Sends what is still to be tracked."""
        self._tracker.close()

    def _load_tokenizer(self) -> PreTrainedTokenizerBase:
        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(self._job.base_model)
        except (OSError, ValueError) as error:
            raise self._no_base_model(error) from error
        if tokenizer.chat_template is None:
            reason = "the base model's tokenizer has no chat template, and one is never guessed"
            raise TrainingFailed("training.no-chat-template", reason, advice="use an instruction-tuned base model")
        return tokenizer

    def _load_model(self) -> PreTrainedModel:
        quantization = None
        if self._job.method == "qlora":
            quantization = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=self._dtype,
            )
        # full fine-tuning keeps float32 weights: bfloat16 ones would lose most small updates
        dtype = torch.float32 if self._job.method == "full" else self._dtype
        try:
            return AutoModelForCausalLM.from_pretrained(
                self._job.base_model, dtype=dtype, quantization_config=quantization
            )
        except (OSError, ValueError) as error:
            raise self._no_base_model(error) from error

    def _no_base_model(self, error: Exception) -> TrainingFailed:
        reason = f"the base model in {self._job.base_model} cannot be loaded: {str(error)[:200]}"
        return TrainingFailed("training.no-base-model", reason, advice="check TRAINER_BASE_MODELS and the model folder")

    def _adapter_config(self) -> LoraConfig:
        chosen = self._job.hyperparameters
        return LoraConfig(
            r=chosen.lora_rank,
            lora_alpha=chosen.lora_alpha,
            lora_dropout=chosen.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )

    def _arguments(self) -> SFTConfig:
        chosen = self._job.hyperparameters
        return SFTConfig(
            output_dir=str(self._job.checkpoint_dir),
            per_device_train_batch_size=chosen.batch_size,
            per_device_eval_batch_size=chosen.batch_size,
            gradient_accumulation_steps=chosen.gradient_accumulation_steps,
            num_train_epochs=chosen.num_epochs,
            learning_rate=chosen.learning_rate,
            warmup_steps=chosen.warmup_ratio,  # below 1 it is a share of all steps
            lr_scheduler_type="cosine",
            max_length=chosen.max_seq_length,
            seed=chosen.seed,
            use_cpu=not self._on_cuda,
            bf16=self._dtype is torch.bfloat16,
            gradient_checkpointing=self._on_cuda,  # trades time for memory; on CPU, time is what is short
            dataloader_pin_memory=self._on_cuda,
            completion_only_loss=True,
            include_num_input_tokens_seen="non_padding",
            logging_nan_inf_filter=False,  # NaN must be seen
            logging_strategy="no",  # `Pace` alone decides when to log, evaluate and checkpoint
            eval_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )

    def _parameters(self, train: int, validation: int) -> dict[str, str]:
        job = self._job
        told = {"method": job.method, "objective": job.objective, "base_model": job.base_model.name}
        measured = {"train_samples": train, "validation_samples": validation, "dtype": self._dtype}
        chosen: dict[str, object] = job.hyperparameters.model_dump()
        return {name: str(value) for name, value in (told | measured | chosen).items()}


def _as_dataset(samples: list[Sample]) -> Dataset:
    """TRL's conversational prompt/completion rows: the loss then covers the completion alone."""
    return Dataset.from_list(
        [
            {
                "prompt": [turn.model_dump() for turn in sample.prompt],
                "completion": [turn.model_dump() for turn in sample.completion],
            }
            for sample in samples
        ]
    )


def _cpu_computes_in_bfloat16() -> bool:
    """Without such instructions bfloat16 is emulated: measured six times slower than float32 on AVX2."""
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


def attempt(job: JobFile, progress: ProgressStream, stop: Stop) -> int:
    """Runs one attempt to its end, whatever that is.

    Returns:
        Exit status: 0, `EXIT_STOPPED` or `EXIT_FAILED`.
    """
    recipe = SupervisedFineTuning(job, progress, stop)
    try:
        return _tell(recipe)
    except Exception as error:  # noqa: BLE001 - whatever ends a run is said in words
        why = explain(error)
        progress.say(Failed(code=why.code, reason=why.reason, advice=why.advice))
        traceback.print_exception(error)
        return EXIT_FAILED
    finally:
        recipe.cleanup()


def _tell(recipe: SupervisedFineTuning) -> int:
    with continued_span("trainer.load", traceparent=None):
        recipe.setup()
    with continued_span("trainer.learn", traceparent=None):
        recipe.train()
    if recipe.stopped:
        recipe.say_stopped()
        return EXIT_STOPPED
    with continued_span("trainer.save", traceparent=None):
        recipe.save()
    return 0


def main() -> int:
    progress = ProgressStream.taking_stdout()
    stop = Stop()
    job = JobFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    trace = job.trace
    service = f"training-{job.job_id}-{job.attempt}"
    tracing = set_up_tracing(service, otlp_endpoint=trace.otlp_endpoint, trace_dir=trace.trace_dir)
    try:
        with continued_span("trainer.attempt", traceparent=trace.traceparent, attributes={"job_id": job.job_id}):
            return attempt(job, progress, stop)
    finally:
        tracing.shutdown()


if __name__ == "__main__":
    sys.exit(main())
