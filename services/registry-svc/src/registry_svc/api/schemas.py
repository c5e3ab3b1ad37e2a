"""Bodies of requests."""

from pydantic import BaseModel, ConfigDict, Field

from loopwright.contracts.base import Identifier, Storable


class RollbackRequest(BaseModel):
    """Puts the variant back in charge that was there before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = Field(ge=1, le=2**31 - 1, description="revision of the deployment that the decision was made on")
    reason: Storable = Field(min_length=1, max_length=2000, description="why, for the record")


class PromotionRequest(RollbackRequest):
    """Puts a version in charge of a task."""

    task_id: Identifier = Field(description="task; a base model may serve several")
