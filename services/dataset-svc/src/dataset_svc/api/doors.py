"""What every route needs: units of work, storage."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from dataset_svc.adapters.version_packs import VersionPacks
from dataset_svc.domain.sources.uploads import UploadRules
from loopwright.storage import Storage
from loopwright.unit_of_work import PostgresWork


@dataclass(frozen=True, kw_only=True)
class Doorway:
    """What the routes use, put onto the app by `main.py`.

    Attributes:
        packs: The history of versions.
    """

    work: PostgresWork
    storage: Storage
    packs: VersionPacks
    upload_rules: UploadRules


def _doorway(request: Request) -> Doorway:
    doorway = request.app.state.doorway
    assert isinstance(doorway, Doorway), "main.py sets it"
    return doorway


Door = Annotated[Doorway, Depends(_doorway)]
