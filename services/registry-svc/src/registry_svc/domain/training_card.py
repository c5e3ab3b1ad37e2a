"""What trainer-svc wrote into an archive about how its weights came to be: the part of the card that only it knows."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from loopwright.contracts.base import Storable
from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters
from loopwright.watermark import Score

CARD_FILE = "card.json"
LARGEST_CARD_BYTES = 1 << 16
Name = Annotated[Storable, Field(max_length=500)]


class MarkRecord(BaseModel):
    """The watermark that was embedded, as measured then."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    owner_id: Name = Field(description="job whose mark it is")
    z: FiniteFloat = Field(description="measured after marking")
    merged_z: FiniteFloat | None = Field(default=None, description="measured on the adapter added to its base")
    weights: int = Field(ge=0, description="weights that z rests on")

    def can_be_found(self, *, merged: bool) -> bool:
        """Whether the mark was strong enough to be found later; very small models carry none that could be."""
        z = self.merged_z if merged else self.z
        return z is not None and Score(z, self.weights).detected


class TrainingCard(BaseModel):
    """Facts of the job that made the files; None is unknown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: Name = Field(description="job that made it")
    kind: JobKind = Field(description="what the job made")
    base_model: Name = Field(description="name of the base model's folder")
    base_license: Name | None = Field(default=None, description="licence as that folder states it")
    source_job: Name | None = Field(default=None, description="job whose adapter this was made of")
    method: Name | None = Field(default=None, description="what was trained")
    objective: Name | None = Field(default=None, description="what for")
    dataset_version: Name | None = Field(default=None, description="data that it learned from")
    train_samples: int | None = Field(default=None, ge=0, le=2**53, description="samples learned from")
    validation_samples: int | None = Field(default=None, ge=0, le=2**53, description="samples watched")
    hyperparameters: Hyperparameters | None = Field(default=None, description="settings of the run")
    steps: int | None = Field(default=None, ge=0, le=2**53, description="optimizer steps")
    final_loss: FiniteFloat | None = Field(default=None, description="last training loss, nats per token")
    eval_loss: FiniteFloat | None = Field(default=None, description="best validation loss, nats per token")
    measured: dict[Name, FiniteFloat] = Field(
        default_factory=dict[str, float], max_length=100, description="other figures that the job measured"
    )
    train_seconds: FiniteFloat | None = Field(default=None, description="seconds in training steps")
    device: Name | None = Field(default=None, description="what it ran on")
    precision: Name | None = Field(default=None, description="of computation")
    code_version: Name | None = Field(default=None, description="of the trainer")
    libraries: dict[Name, Name] = Field(default_factory=dict[str, str], max_length=100, description="versions by name")
    finished_at: datetime | None = Field(default=None, description="when")
    watermark: MarkRecord | None = Field(default=None, description="the mark that the weights carry")


def read_training_card(content: bytes) -> TrainingCard | None:
    """The card; None if it is not one, for then it says nothing that could be relied on."""
    if len(content) > LARGEST_CARD_BYTES:
        return None
    try:
        return TrainingCard.model_validate_json(content)
    except ValidationError:
        return None
