"""How several processes share a model: DeepSpeed's ZeRO (arXiv:1910.02054) or FSDP2, said in the trainer's own terms.

ddp: each holds everything. zero2: optimizer state and gradients in shards. zero3, fsdp2: parameters as well.
"""

from pathlib import Path
from typing import NamedTuple, TypedDict

from loopwright.contracts.tasks import Sharding
from trainer_svc.recipes.checkpoints import newest_complete
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile

EXIT_PEER_LOST = 69  # EX_UNAVAILABLE of sysexits.h: another process of the job is gone

Json = bool | int | float | str | None | dict[str, "Json"]
_IN_SHARDS: frozenset[Sharding] = frozenset({"zero2", "zero3", "fsdp2"})
_PARAMETERS_IN_SHARDS: frozenset[Sharding] = frozenset({"zero3", "fsdp2"})


class ShardingArguments(TypedDict):
    """Those fields of `transformers.TrainingArguments` that depend on who shares the job."""

    use_cpu: bool
    gradient_accumulation_steps: int
    gradient_checkpointing: bool
    accelerator_config: dict[str, Json] | None
    deepspeed: dict[str, Json] | None
    fsdp: bool | None
    fsdp_config: dict[str, Json] | None


class Hardware(NamedTuple):
    """What the processes run on.

    Attributes:
        on_cuda: A GPU for each process; else all share the CPU.
        offload: Optimizer state lies in the host's memory: more steps' time for less of a GPU's memory.
    """

    on_cuda: bool
    offload: bool = False


def sharding_of(job: JobFile) -> Sharding:
    """How the processes of a job share; `none` if there is only one and it was not asked for shards."""
    chosen = job.hyperparameters.sharding
    if job.world_size == 1:
        return chosen if chosen in _IN_SHARDS else "none"
    return "ddp" if chosen == "none" else chosen


def is_in_shards(job: JobFile) -> bool:
    """Whether no process of a job holds all of its state."""
    return sharding_of(job) in _IN_SHARDS


def sharding_arguments(job: JobFile, hardware: Hardware) -> ShardingArguments:
    """What the trainer is told of the processes that share the job, be it only one.

    Raises:
        TrainingFailed: the method cannot be shared in this way, or the job's checkpoint not by so many processes.
    """
    sharding, chosen = sharding_of(job), job.hyperparameters
    if job.method == "qlora" and sharding in _PARAMETERS_IN_SHARDS:
        reason = f"4-bit weights cannot be cut into shards, as {sharding} would have to"
        raise TrainingFailed("training.sharding-refused", reason, advice="use sharding zero2 or ddp, or method lora")
    # trades time for memory; on CPU, time is what is short
    recomputes = hardware.on_cuda if chosen.gradient_checkpointing is None else chosen.gradient_checkpointing
    arguments = ShardingArguments(
        use_cpu=not hardware.on_cuda,
        gradient_accumulation_steps=_accumulation(job, sharding),
        gradient_checkpointing=recomputes,
        accelerator_config=None,
        deepspeed=None,
        fsdp=None,
        fsdp_config=None,
    )
    if sharding in _IN_SHARDS and not hardware.on_cuda:
        # with `use_cpu` Accelerate would forget the shards without a word; `distributed.join` readies its state instead
        arguments["use_cpu"] = False
        arguments["accelerator_config"] = {"use_configured_state": True}
    if sharding == "fsdp2":
        arguments["gradient_checkpointing"] = False  # FSDP's own spares gathering a layer's parameters once more
        arguments["fsdp"] = True
        arguments["fsdp_config"] = fsdp_config(hardware, activation_checkpointing=recomputes)
    elif sharding in _IN_SHARDS:
        arguments["deepspeed"] = deepspeed_config(3 if sharding == "zero3" else 2, hardware)
    return arguments


def deepspeed_config(stage: int, hardware: Hardware) -> dict[str, Json]:
    """DeepSpeed's JSON; `auto` takes the trainer's value.

    Args:
        stage: 2 or 3.
    """
    zero: dict[str, Json] = {"stage": stage, "overlap_comm": hardware.on_cuda, "contiguous_gradients": True}
    if stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True  # a checkpoint holds the weights in one file as well
        zero["reduce_bucket_size"] = zero["stage3_prefetch_bucket_size"] = "auto"
        zero["stage3_param_persistence_threshold"] = "auto"
    if hardware.offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": hardware.on_cuda}
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "zero_optimization": zero,
        # offloaded, the trainer's optimizer would need one of DeepSpeed's own, compiled on the spot
        "zero_force_ds_cpu_optimizer": False,
    }


def fsdp_config(hardware: Hardware, *, activation_checkpointing: bool) -> dict[str, Json]:
    """FSDP2 as Transformers and Accelerate know it: every decoder layer a unit of its own."""
    return {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "reshard_after_forward": True,
        # gathered by the first process: slower than shards, but any number of processes resumes from it
        "state_dict_type": "FULL_STATE_DICT",
        "cpu_offload": hardware.offload,
        "activation_checkpointing": activation_checkpointing,
    }


def processes_of(checkpoint: Path) -> int:
    """How many processes wrote a checkpoint: each left its random state."""
    return len(list(checkpoint.glob("rng_state_*.pth"))) or 1


def _accumulation(job: JobFile, sharding: Sharding) -> int:
    """Micro-batches per step, so that a resumed job goes on with batches of the size that it began with."""
    chosen = job.hyperparameters.gradient_accumulation_steps
    checkpoint = newest_complete(job.checkpoint_dir)
    written_by = job.world_size if checkpoint is None else processes_of(checkpoint)
    if written_by == job.world_size:
        return chosen
    advice = f"run it on {written_by} devices, as before, or start a new job"
    if sharding in {"zero2", "zero3"}:
        reason = f"a {sharding} checkpoint of {written_by} processes cannot be resumed by {job.world_size}"
        raise TrainingFailed("training.other-process-count", reason, advice=advice)
    if chosen * written_by % job.world_size:
        reason = f"{job.world_size} processes cannot make batches of the size that {written_by} processes made"
        raise TrainingFailed("training.other-process-count", reason, advice=advice)
    return chosen * written_by // job.world_size
