"""Where a model version comes from and where it went: job, data, files, proof, live traffic, charge."""

from datetime import datetime

from pydantic import Field

from loopwright.contracts.base import Artifact
from loopwright.contracts.experiments import Evidence
from loopwright.contracts.jobs import TrainingData
from loopwright.pages import Window
from loopwright.unit_of_work import Work
from registry_svc.domain.lineage import EdgeKind, NodeKind
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.releases import Release, ReleaseState
from registry_svc.queries.deployments import DeploymentChangeView, view_change
from registry_svc.queries.evaluations import EvaluationView, view_evaluation
from registry_svc.queries.lineage_graph import Origins, draw_graph
from registry_svc.queries.models import ModelView, view_model
from registry_svc.queries.pages import View
from registry_svc.store.conclusions import list_conclusions_of
from registry_svc.store.deployments import list_changes_with
from registry_svc.store.evaluations import page_evaluations_of
from registry_svc.store.models import get_model
from registry_svc.store.releases import find_release_of

_ALL = Window(limit=1000, offset=0)


class JobView(View):
    """The job that made a version, and how far its release went."""

    job_id: str
    job_name: str
    mlflow_run_id: str = Field(description="run in MLflow")
    release_state: ReleaseState
    release_reason: str | None


class ExperimentView(View):
    """An experiment on live traffic that a version took part in."""

    experiment_id: str
    outcome: str
    champion: str
    candidate: str
    applied: bool = Field(description="whether the deployment followed it")
    note: str
    evidence: Evidence
    concluded_at: datetime


class NodeView(View):
    """One thing in the graph."""

    node_id: str = Field(description="`<kind>:<its own id>`")
    kind: NodeKind
    label: str = Field(description="for people")
    more: str | None = Field(description="path of the API that knows more of it, and walks on")


class EdgeView(View):
    """One step of the way."""

    source: str
    target: str
    kind: EdgeKind


class LineageView(View):
    """Everything that a version came from and led to."""

    model: ModelView
    base_model: str
    job: JobView | None = Field(description="none for a base model, as the data and the adapter")
    training_data: TrainingData | None
    adapter: Artifact | None
    mlflow_uri: str
    evaluations: tuple[EvaluationView, ...] = Field(description="newest first, without the answers")
    experiments: tuple[ExperimentView, ...] = Field(description="newest first")
    deployments: tuple[DeploymentChangeView, ...] = Field(description="states in which it was deployed, newest first")
    nodes: tuple[NodeView, ...] = Field(description="the same as a graph: what it came from and led to")
    edges: tuple[EdgeView, ...] = Field(description="each from what came before to what came of it")


async def read_lineage(work: Work, variant: VariantId) -> LineageView:
    """The lineage of a version.

    Raises:
        NotFound: there is no such version.
    """
    session = work.session
    model = await get_model(session, variant)
    release = await find_release_of(session, variant)
    evaluations = await page_evaluations_of(session, variant, _ALL)
    experiments = await list_conclusions_of(session, variant)
    changes = await list_changes_with(session, variant)
    origin = Origins(model=model, release=release)
    graph = draw_graph(origin, evaluations=evaluations.items, experiments=experiments, changes=changes)
    return LineageView(
        model=view_model(model),
        base_model=model.base_model,
        job=None if release is None else _view_job(release, model),
        training_data=None if release is None else release.training_data,
        adapter=model.artifact,
        mlflow_uri=model.mlflow_uri,
        evaluations=tuple(view_evaluation(evaluation, ()) for evaluation in evaluations.items),
        experiments=tuple(ExperimentView.model_validate(conclusion) for conclusion in experiments),
        deployments=tuple(view_change(change) for change in changes),
        nodes=tuple(NodeView.model_validate(node) for node in graph.nodes.values()),
        edges=tuple(EdgeView.model_validate(edge) for edge in graph.edges),
    )


def _view_job(release: Release, model: ModelVersion) -> JobView:
    return JobView(
        job_id=release.job_id,
        job_name=release.job_name,
        mlflow_run_id=model.mlflow_run_id,
        release_state=release.state,
        release_reason=release.reason,
    )
