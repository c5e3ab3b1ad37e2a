"""A task's privacy, put to a conversation before it becomes part of an event: masked, sealed, or both."""

from router_svc.adapters.content_seals import ContentSeals
from router_svc.domain.contents import Concealed, Content
from router_svc.domain.privacy import as_json, masked
from router_svc.domain.snapshot import Task


class Concealer:
    """Conceals conversations; what cannot be sealed is left out."""

    def __init__(self, seals: ContentSeals) -> None:
        self._seals = seals

    def __call__(self, task: Task, content: Content, inference_id: str) -> Concealed:
        if task.mask_content:
            content = masked(content)
        if not task.seal_content:
            return Concealed(content=content)
        return Concealed(content=None, sealed=self._seals.seal(as_json(content), inference_id=inference_id))
