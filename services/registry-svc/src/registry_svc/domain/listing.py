"""Which model versions a list is to hold."""

from dataclasses import dataclass

from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import ModelStatus


@dataclass(frozen=True, kw_only=True)
class ModelFilter:
    """Which versions are wanted; None wants all.

    Attributes:
        tags: All of them must be there.
    """

    name: str | None = None
    status: ModelStatus | None = None
    model_format: ModelFormat | None = None
    task_id: str | None = None
    tags: tuple[str, ...] = ()
