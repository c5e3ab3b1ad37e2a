"""The group that the processes of one job form: joined before the trainer's arguments are made, left at the end."""

# ruff: noqa: ARG002 - the trainer hands every hook the same arguments

import json
import shutil
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate.state import PartialState
from accelerate.utils import DistributedType, patch_environment
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from loopwright.contracts.tasks import Sharding
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.sharding import sharding_of

_LOST_PEER_WORDS = ("gloo/transport", "connection closed by peer", "connection reset by peer")
_ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json", "README.md")
_MODEL_FILES = ("*.safetensors", "*.safetensors.index.json", "*config.json", "tokenizer.*", "*.jinja")


def join(job: JobFile) -> None:
    """Meets the other processes that torchrun started for the job; does nothing for one that is by itself.

    Collectives on the CPU go through gloo even where those on the GPUs go through NCCL: what the processes agree upon
    waits for no kernel, and a process that dies is noticed at once.
    """
    sharding = sharding_of(job)
    if sharding == "none":
        return
    on_cuda = torch.cuda.is_available()
    if on_cuda:
        torch.cuda.set_device(dist.get_node_local_rank())  # pyright: ignore[reportPrivateImportUsage] - documented
    if not dist.is_initialized():
        dist.init_process_group("cuda:nccl,cpu:gloo" if on_cuda else "gloo")
    if dist.get_world_size() != job.world_size:
        reason = f"{dist.get_world_size()} processes run a job that is meant for {job.world_size}"
        raise TrainingFailed("training.other-process-count", reason, advice="start it through the service")
    if not on_cuda:
        _ready_accelerate(sharding)


def _ready_accelerate(sharding: Sharding) -> None:
    """Has Accelerate shard on a CPU by the very code that it runs on GPUs.

    Left to itself (1.15) it takes every group on a CPU for plain data parallelism, whatever it is told.
    """
    if sharding in {"zero2", "zero3"}:
        from deepspeed import ops  # noqa: PLC0415 - seconds of import, which others should not pay

        ops.__compatible_ops__["deepspeed_shm_comm"] = (
            False  # compiled on the spot for minutes, and only inference uses it
        )
        with patch_environment(accelerate_use_deepspeed="true"):
            PartialState(backend="gloo")
    elif sharding == "fsdp2":
        PartialState(backend="gloo").distributed_type = DistributedType.MULTI_GPU


def leave() -> None:
    """Hangs up; the others learn of a failure at once, for their next exchange with this process fails."""
    if dist.is_initialized():
        dist.destroy_process_group()


def lost_peer(error: BaseException) -> bool:
    """Whether another process of the job is gone, and this one is fine."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, dist.DistError) or any(words in str(link).lower() for words in _LOST_PEER_WORDS):
            return dist.is_initialized()
        link = link.__cause__ or link.__context__
    return False


class SharedAsAsked(TrainerCallback):
    """Sees to it that the processes share model and data as the job says, where libraries fail to without a word.

    Raises:
        TrainingFailed: from `on_train_begin`, if the model is not wrapped so.
    """

    def __init__(self, trainer: Trainer, sharding: Sharding) -> None:
        self._trainer = trainer
        self._sharding: Sharding = sharding

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        model = self._wrapped()
        if not is_shared(model, self._sharding):
            reason = f"the model became a {type(model).__name__}, which does not share as {self._sharding} should"
            raise TrainingFailed("training.not-shared", reason, advice="choose another sharding, or ddp")

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Tells the order of the samples which epoch it is.

        Resumed within an epoch by several processes, Accelerate (1.15) wraps the sampler so deeply that its own word
        no longer arrives, and the samples of the first epoch would come again.
        """
        sampler = getattr(kwargs["train_dataloader"], "batch_sampler", None)
        while (inner := getattr(sampler, "batch_sampler", None)) is not None:
            sampler = inner
        order = getattr(sampler, "sampler", None)
        if order is not None and hasattr(order, "set_epoch"):
            order.set_epoch(int(state.epoch or 0))

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Gives up what an evaluation gathered: gathered without gradients, FSDP2 cannot always learn with it."""
        for module in self._wrapped().modules():
            if isinstance(module, FSDPModule):
                module.reshard()

    def _wrapped(self) -> torch.nn.Module:
        model: object = self._trainer.model_wrapped
        assert isinstance(model, torch.nn.Module)
        return model


def is_shared(model: torch.nn.Module, sharding: Sharding) -> bool:
    """Whether a model really is cut and synchronised as `sharding` says."""
    if sharding == "fsdp2":
        return isinstance(model, FSDPModule) and all(isinstance(p, DTensor) for p in model.parameters())
    if sharding == "ddp":
        return isinstance(model, DistributedDataParallel)
    if sharding in {"zero2", "zero3"}:
        from deepspeed import DeepSpeedEngine  # noqa: PLC0415 - seconds of import, which others should not pay

        return isinstance(model, DeepSpeedEngine) and model.zero_optimization_stage() == int(sharding[-1])
    return not isinstance(model, FSDPModule | DistributedDataParallel)


def save_from_checkpoint(checkpoint: Path, target: Path) -> None:
    """Writes the adapter or model folder from the whole weights that a checkpoint of shards holds too.

    Under another name first, so that it is whole or absent. To be called by one process.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    partial.mkdir(parents=True)
    is_adapter = (checkpoint / "adapter_config.json").exists()
    for pattern in _ADAPTER_FILES if is_adapter else _MODEL_FILES:
        for file in checkpoint.glob(pattern):
            shutil.copy2(file, partial)
    if is_adapter:
        _sort_modules(partial / "adapter_config.json")
    partial.replace(target)


def _sort_modules(file: Path) -> None:
    """Their order differs from process to process, and the folder is named by its content."""
    config = json.loads(file.read_text())
    config["target_modules"] = sorted(config["target_modules"])
    file.write_text(json.dumps(config, indent=2, sort_keys=True))
