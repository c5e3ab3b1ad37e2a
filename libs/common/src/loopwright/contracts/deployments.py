"""What is loaded where: the champion and the candidates of each task, with the servers that answer for them."""

from pydantic import Field

from loopwright.contracts.base import Artifact, Event, Identifier, Moment, Value
from loopwright.contracts.tasks import GenerationParameters


class Variant(Value):
    """A model version with generation parameters that can serve a task."""

    variant_id: Identifier = Field(description="`<model>:<version>`, unique in the platform")
    task_id: Identifier = Field(description="task that it serves")
    base_model: Identifier = Field(description="base model under it")
    model_name: Identifier = Field(description="registered model")
    model_version: int = Field(ge=1, description="version of that model")
    served_name: Identifier = Field(description="name under which the servers know it")
    adapter: Artifact | None = Field(default=None, description="LoRA adapter; none for the base model itself")
    generation: GenerationParameters = Field(description="how it generates by default")


class DeployedVariant(Value):
    """A variant together with the servers that have it loaded."""

    variant: Variant = Field(description="what is loaded")
    backend_urls: tuple[str, ...] = Field(min_length=1, description="OpenAI-compatible servers that can answer for it")


class DeploymentChanged(Event):
    """The whole serving state of one task after a change; the champion answers unless an experiment says otherwise."""

    task_id: Identifier = Field(description="task")
    revision: int = Field(ge=1, description="rises by one with every change of this task's deployment")
    champion: DeployedVariant = Field(description="in charge")
    candidates: tuple[DeployedVariant, ...] = Field(
        default=(), description="loaded, and served only when assigned or asked for"
    )
    reason: str = Field(description="why it changed, for people")
    changed_at: Moment = Field(description="when")
    changed_by: str = Field(description="service or subject that changed it")
