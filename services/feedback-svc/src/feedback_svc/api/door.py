"""What every route starts from: a unit of work, and names that can be no others than the platform's."""

from typing import Annotated

from fastapi import Depends, Query, Request

from loopwright.contracts.base import Identifier
from loopwright.unit_of_work import PostgresWork

InPath = Identifier
IdFilter = Annotated[Identifier | None, Query()]


async def _opener(request: Request) -> PostgresWork:
    work: PostgresWork = request.app.state.work
    return work


Opener = Annotated[PostgresWork, Depends(_opener)]
