"""What every route starts from: a unit of work, and the part of a list that is wanted."""

from typing import Annotated

from fastapi import Depends, Query, Request

from feedback_svc.queries.pages import Window
from loopwright.contracts.base import Identifier
from loopwright.unit_of_work import PostgresWork

InPath = Identifier
IdFilter = Annotated[Identifier | None, Query()]


async def _opener(request: Request) -> PostgresWork:
    work: PostgresWork = request.app.state.work
    return work


async def _window(
    limit: Annotated[int, Query(ge=1, le=500)] = 50, offset: Annotated[int, Query(ge=0, le=2**31)] = 0
) -> Window:
    return Window(limit=limit, offset=offset)


Opener = Annotated[PostgresWork, Depends(_opener)]
WindowQuery = Annotated[Window, Depends(_window)]
