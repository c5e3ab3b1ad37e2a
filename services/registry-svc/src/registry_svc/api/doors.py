"""What every route needs: units of work."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from loopwright.contracts.base import Identifier
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.serving import Serving

InPath = Identifier


@dataclass(frozen=True, kw_only=True)
class Doorway:
    """What the routes use, put onto the app by `main.py`.

    Attributes:
        base_models: Names that a task may start from.
    """

    work: WorkFactory
    serving: Serving
    base_models: frozenset[str]


def _doorway(request: Request) -> Doorway:
    doorway = request.app.state.doorway
    assert isinstance(doorway, Doorway), "main.py sets it"
    return doorway


Door = Annotated[Doorway, Depends(_doorway)]
