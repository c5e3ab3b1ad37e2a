"""Draws the lineage of a version from its rows; what other services hold is named with the path that walks on."""

from collections.abc import Iterable
from dataclasses import dataclass

from registry_svc.domain.deployments import Deployment
from registry_svc.domain.evaluations import Evaluation
from registry_svc.domain.lineage import EdgeKind, Graph, NodeKind
from registry_svc.domain.models import BASE_VERSION, ModelVersion, VariantId
from registry_svc.domain.releases import Release
from registry_svc.store.conclusions import Conclusion

_MODELS, _DATA, _JOBS = "/api/v1/admin/models", "/api/v1/admin/training/datasets", "/api/v1/admin/finetuning/jobs"


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Where a version comes from.

    Attributes:
        release: None for what came by another way than a training job.
    """

    model: ModelVersion
    release: Release | None


def draw_graph(
    origins: Origins, *, evaluations: Iterable[Evaluation], experiments: Iterable[Conclusion],
    changes: Iterable[Deployment],
) -> Graph:  # fmt: skip
    """Everything that led to a version, and that it led to."""
    graph = Graph()
    node = _version(graph, origins.model.variant)
    _draw_origin(graph, origins, node)
    for evaluation in evaluations:
        _draw_evaluation(graph, evaluation)
    for experiment in experiments:
        tried = graph.add(
            NodeKind.EXPERIMENT, experiment.experiment_id, label=f"{experiment.outcome}: {experiment.note}"
        )
        for name in (experiment.candidate, experiment.champion):
            graph.link(_version(graph, VariantId.parse(name)), tried, EdgeKind.TRIED_IN)
    for change in changes:
        role = "in charge" if change.champion == origins.model.variant else "beside the champion"
        label = f"{change.task_id}, revision {change.revision}, {role}: {change.reason}"
        more = f"/api/v1/admin/deployments/{change.task_id}/history"
        served = graph.add(NodeKind.DEPLOYMENT, f"{change.task_id}@{change.revision}", label=label, more=more)
        graph.link(node, served, EdgeKind.SERVED_IN)
    return graph


def _draw_origin(graph: Graph, origins: Origins, node: str) -> None:
    model = origins.model
    alias = graph.add(NodeKind.ALIAS, f"{model.variant.model_name}@{model.status}", label=model.mlflow_uri)
    graph.link(node, alias, EdgeKind.NAMED)
    if model.artifact is not None:
        label = f"{model.artifact.size_bytes} bytes, {model.format}"
        files = graph.add(NodeKind.FILES, model.artifact.sha256, label=label, more=f"{_path(model.variant)}/download")
        graph.link(files, node, EdgeKind.HELD_BY)
    if model.parent is not None:
        graph.link(_version(graph, model.parent), node, EdgeKind.DERIVED)
    if model.job_id is not None:
        name = model.job_id if origins.release is None else origins.release.job_name
        job = graph.add(NodeKind.JOB, model.job_id, label=name, more=f"{_JOBS}/{model.job_id}")
        graph.link(job, node, EdgeKind.MADE)
        graph.link(_version(graph, VariantId(model.base_model, BASE_VERSION)), job, EdgeKind.STARTED_FROM)
        _draw_data(graph, origins, job)


def _draw_data(graph: Graph, origins: Origins, job: str) -> None:
    version_id = origins.model.dataset_version_id
    if version_id is None:
        return
    path = f"{_DATA}/versions/{version_id}"
    data = graph.add(NodeKind.DATASET_VERSION, version_id, label=f"dataset version {version_id}", more=path)
    graph.link(data, job, EdgeKind.LEARNED_BY)
    count = "" if origins.release is None else f"{origins.release.training_data.train.samples} "
    label = f"{count}samples with the ratings, corrections and documents that they come from"
    samples = graph.add(NodeKind.SAMPLES, version_id, label=label, more=f"{path}/samples?split=train")
    graph.link(samples, data, EdgeKind.GATHERED_IN)
    if origins.release is not None:
        held_out = origins.release.training_data.held_out
        cases = graph.add(NodeKind.HELD_OUT, held_out.artifact.sha256, label=f"{held_out.samples} held-out cases")
        graph.link(cases, data, EdgeKind.PART_OF)


def _draw_evaluation(graph: Graph, evaluation: Evaluation) -> None:
    verdict = {True: "passed", False: "failed", None: str(evaluation.state)}[evaluation.passed]
    more = f"/api/v1/admin/evaluations/{evaluation.evaluation_id}"
    judged = graph.add(NodeKind.EVALUATION, evaluation.evaluation_id, label=f"{evaluation.kind}: {verdict}", more=more)
    for variant in evaluation.variants:
        graph.link(_version(graph, variant), judged, EdgeKind.EVALUATED_IN)
    cases = graph.add(NodeKind.HELD_OUT, evaluation.held_out_sha256, label="cases of the evaluation")
    graph.link(cases, judged, EdgeKind.JUDGED_WITH)


def _version(graph: Graph, variant: VariantId) -> str:
    return graph.add(NodeKind.MODEL_VERSION, str(variant), label=str(variant), more=_path(variant))


def _path(variant: VariantId) -> str:
    return f"{_MODELS}/{variant.model_name}/versions/{variant.version}"
