"""What every route needs: units of work."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from loopwright.contracts.base import Identifier
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.lm_eval import LmEval
from registry_svc.adapters.serving import Serving
from registry_svc.adapters.transfers import Transfers
from registry_svc.handlers.room import Means
from registry_svc.queries.manifests import Cluster

InPath = Identifier


@dataclass(frozen=True, kw_only=True)
class Doorway:
    """What the routes use, put onto the app by `main.py`.

    Attributes:
        base_models: Names that a task may start from.
        cluster: What manifests for Kubernetes are made of.
        harness: Public benchmarks.
        most_suite_cases: Of one version of a test suite.
        most_suite_bytes: Of a body that brings its cases.
    """

    means: Means
    transfers: Transfers
    base_models: frozenset[str]
    cluster: Cluster
    harness: LmEval
    most_suite_cases: int
    most_suite_bytes: int

    @property
    def work(self) -> WorkFactory:
        return self.means.work

    @property
    def serving(self) -> Serving:
        return self.means.serving


def _doorway(request: Request) -> Doorway:
    doorway = request.app.state.doorway
    assert isinstance(doorway, Doorway), "main.py sets it"
    return doorway


Door = Annotated[Doorway, Depends(_doorway)]
