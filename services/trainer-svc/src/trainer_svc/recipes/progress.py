"""What a recipe says while it runs: one JSON object a line on standard output, nothing else there."""

import os
import sys
from typing import Annotated, Literal, Self, TextIO

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

EXIT_FAILED = 1
EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, go on later


class Line(BaseModel):
    """A line of progress."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


class Started(Line):
    """Data and model are loaded; the first step follows."""

    kind: Literal["started"] = "started"
    step: int = Field(description="optimizer steps that an earlier attempt already did")
    total_steps: int = Field(description="optimizer steps planned")
    device: str = Field(description="cpu or cuda:N")
    precision: str = Field(description="float32 or bfloat16; of QLoRA, over 4-bit NormalFloat")
    train_samples: int = Field(description="samples that are learned from")
    validation_samples: int = Field(description="samples that are watched")
    left_out_samples: int = Field(default=0, description="training samples that are too long or of no use here")
    trainable_parameters: int = Field(description="parameters that change")


class Stepped(Line):
    """Figures of the steps since the last such line."""

    kind: Literal["step"] = "step"
    step: int = Field(description="optimizer steps done")
    total_steps: int = Field(description="optimizer steps planned")
    epoch: float = Field(description="passes over the data")
    loss: float = Field(description="mean training loss; of sft, nats per answer token")
    perplexity: float | None = Field(default=None, description="exp(loss), of objective sft")
    learning_rate: float = Field(description="of the last step")
    grad_norm: float | None = Field(default=None, description="before clipping")
    reward_margin: float | None = Field(
        default=None, description="DPO and KTO: implied reward of liked answers above that of the others"
    )
    reward_accuracy: float | None = Field(
        default=None, description="DPO: share of pairs whose chosen answer has the higher implied reward"
    )
    tokens_per_s: float = Field(description="tokens read, padding not counted")
    device_memory_bytes: int = Field(description="peak memory: of the GPU, or resident memory on CPU")
    eta_s: float = Field(description="estimated seconds left")


class Evaluated(Line):
    """Loss on the validation split."""

    kind: Literal["evaluation"] = "evaluation"
    step: int = Field(description="optimizer steps done")
    total_steps: int = Field(description="optimizer steps planned")
    epoch: float = Field(description="passes over the data")
    eval_loss: float = Field(description="validation loss; of sft, nats per answer token")
    perplexity: float | None = Field(default=None, description="exp(eval_loss), of objective sft")
    reward_margin: float | None = Field(default=None, description="as of a step, on the validation split")
    reward_accuracy: float | None = Field(default=None, description="as of a step, on the validation split")


class Checkpointed(Line):
    """A checkpoint is complete on disk."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int = Field(description="optimizer steps done")
    epoch: float = Field(description="passes over the data")
    path: str = Field(description="its folder")
    size_bytes: int = Field(description="bytes of its files")


class Finished(Line):
    """The adapter is on disk."""

    kind: Literal["finished"] = "finished"
    step: int = Field(description="optimizer steps done")
    adapter_dir: str = Field(description="folder of the adapter, or of the whole model after full fine-tuning")
    final_loss: float | None = Field(default=None, description="last training loss")
    eval_loss: float | None = Field(default=None, description="best validation loss")
    best_step: int | None = Field(
        default=None, description="step with the best validation loss, whose adapter it is after early stopping"
    )
    train_seconds: float = Field(description="seconds of this attempt spent in training steps")
    tokens: int = Field(description="tokens read by this attempt")


class Stopped(Line):
    """Asked to stop; what was learned is in the newest checkpoint."""

    kind: Literal["stopped"] = "stopped"
    step: int = Field(description="optimizer steps done")


class Failed(Line):
    """It cannot go on."""

    kind: Literal["failed"] = "failed"
    code: str = Field(description="stable code, such as training.out-of-memory")
    reason: str = Field(description="what happened, for a person")
    advice: str = Field(description="what to do about it")


AnyLine = Annotated[
    Started | Stepped | Evaluated | Checkpointed | Finished | Stopped | Failed, Field(discriminator="kind")
]
_ADAPTER: TypeAdapter[AnyLine] = TypeAdapter(AnyLine)


def parse_line(text: str | bytes) -> AnyLine:
    """Reads one line of a recipe.

    Raises:
        pydantic.ValidationError: it is not one.
    """
    return _ADAPTER.validate_json(text)


class ProgressStream:
    """Writes lines for whoever started the recipe."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @classmethod
    def taking_stdout(cls) -> Self:
        """Owns standard output: what libraries print lands on standard error from here on."""
        sys.stdout.flush()
        stream = cls(os.fdopen(os.dup(1), "w", encoding="utf-8"))
        os.dup2(2, 1)
        return stream

    def say(self, line: AnyLine) -> None:
        self._file.write(line.model_dump_json() + "\n")
        self._file.flush()
