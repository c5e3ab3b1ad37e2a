"""What every route needs: units of work, storage, and which part of a list is wanted."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from dataset_svc.queries.pages import Window
from loopwright.storage import Storage
from loopwright.unit_of_work import PostgresWork


@dataclass(frozen=True, kw_only=True)
class Doorway:
    """What the routes use, put onto the app by `main.py`."""

    work: PostgresWork
    storage: Storage


def _doorway(request: Request) -> Doorway:
    doorway = request.app.state.doorway
    assert isinstance(doorway, Doorway), "main.py sets it"
    return doorway


def _window(
    limit: Annotated[int, Query(ge=1, le=500, description="most items")] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000, description="items to leave out first")] = 0,
) -> Window:
    return Window(limit=limit, offset=offset)


Door = Annotated[Doorway, Depends(_doorway)]
Part = Annotated[Window, Depends(_window)]
