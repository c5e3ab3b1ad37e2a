"""What the routes of documents and knowledge bases need."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from dataset_svc.adapters.document_texts import DocumentTexts
from dataset_svc.handlers.knowledge_entries import Analysts
from loopwright.unit_of_work import PostgresWork


@dataclass(frozen=True, kw_only=True)
class TextDoorway:
    """Put onto the app by `main.py`.

    Attributes:
        analysts: What reads texts for knowledge bases.
        pair_model: Name of the model that writes pairs; None where no endpoint is set.
    """

    work: PostgresWork
    documents: DocumentTexts
    analysts: Analysts
    pair_model: str | None
    max_document_bytes: int = 32 << 20


def _doorway(request: Request) -> TextDoorway:
    doorway = request.app.state.text_doorway
    assert isinstance(doorway, TextDoorway), "main.py sets it"
    return doorway


TextDoor = Annotated[TextDoorway, Depends(_doorway)]
