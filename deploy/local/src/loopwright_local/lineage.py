"""Where an answer came from: `python -m loopwright_local.lineage INFERENCE_ID` walks from it back to ratings.

Uses only the services' reading APIs; every hop is one service's own knowledge.
"""

import argparse
import asyncio
from dataclasses import dataclass, field

import httpx
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.tree import Tree

from loopwright_local.keys import ensure_keys, mint_token
from loopwright_local.settings import LocalSettings

_SAMPLES_SHOWN = 5


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class InferenceView(_Answer):
    """From feedback-svc."""

    inference_id: str
    task_id: str
    served_variant_id: str
    input: str | None = None
    answer: str | None = None


class _Job(_Answer):
    job_id: str


class _Data(_Answer):
    version_id: str


class _Adapter(_Answer):
    sha256: str


class _Experiment(_Answer):
    experiment_id: str
    outcome: str


class ModelLineage(_Answer):
    """From registry-svc."""

    base_model: str
    mlflow_uri: str
    job: _Job | None = None
    training_data: _Data | None = None
    adapter: _Adapter | None = None
    experiments: tuple[_Experiment, ...] = ()


class SampleView(_Answer):
    """From dataset-svc."""

    sample_id: str
    split: str
    source: str
    inference_id: str | None = None
    rating_ids: tuple[str, ...] = ()


class SamplePage(_Answer):
    """From dataset-svc."""

    items: tuple[SampleView, ...]
    total: int


class RatingView(_Answer):
    """From feedback-svc."""

    rating_id: str
    metric: str
    value: float | None = None
    comment: str | None = None
    correction: str | None = None
    rated_at: str


@dataclass
class Lineage:
    """One answer and everything that it was learned from."""

    inference: InferenceView
    model: ModelLineage
    samples: SamplePage | None = None
    ratings: list[tuple[SampleView, RatingView]] = field(default_factory=list)


async def walk_back(settings: LocalSettings, inference_id: str) -> Lineage:
    """Follows one answer back to the ratings that its model learned from.

    Raises:
        httpx.HTTPStatusError: a service does not know the next hop.
    """
    token = mint_token(ensure_keys(settings.keys_dir), subject="lineage", roles=("viewer",), ttl_s=300)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:

        async def read(port: int, path: str) -> bytes:
            response = await client.get(f"http://127.0.0.1:{port}/api/v1{path}")
            return response.raise_for_status().content

        inference = InferenceView.model_validate_json(
            await read(settings.feedback_port, f"/feedback/inferences/{inference_id}")
        )
        name, version = inference.served_variant_id.rsplit(":", 1)
        model = ModelLineage.model_validate_json(
            await read(settings.registry_port, f"/admin/models/{name}/versions/{version}/lineage")
        )
        lineage = Lineage(inference, model)
        if model.training_data is not None:
            path = f"/admin/training/datasets/versions/{model.training_data.version_id}/samples?split=train&limit={_SAMPLES_SHOWN}"
            lineage.samples = SamplePage.model_validate_json(await read(settings.dataset_port, path))
            for sample in lineage.samples.items:
                for rating_id in sample.rating_ids:
                    rating = await read(settings.feedback_port, f"/feedback/ratings/{rating_id}")
                    lineage.ratings.append((sample, RatingView.model_validate_json(rating)))
        return lineage


def draw(lineage: Lineage) -> Tree:
    """The walk as a tree for a terminal."""
    inference, model = lineage.inference, lineage.model
    tree = Tree(f"answer [bold]{inference.inference_id[:24]}…[/] {inference.answer!r} to {inference.input!r}")
    served = tree.add(f"variant [bold]{inference.served_variant_id}[/] of task {inference.task_id}")
    made = served.add(f"model in MLflow: {model.mlflow_uri}")
    made.add(f"base model {model.base_model}")
    if model.job is None or model.training_data is None or model.adapter is None:
        return tree
    for experiment in model.experiments:
        made.add(f"experiment {experiment.experiment_id}: {experiment.outcome}")
    job = made.add(f"job {model.job.job_id}, adapter sha256 {model.adapter.sha256[:16]}…")
    total = lineage.samples.total if lineage.samples else 0
    data = job.add(f"dataset version {model.training_data.version_id}, {total} training samples, among them:")
    for sample, rating in lineage.ratings:
        said = f"{rating.metric} {rating.value:g}" if rating.value is not None else rating.metric
        corrected = f", corrected to {rating.correction}" if rating.correction else ""
        data.add(
            f"sample {sample.sample_id[:12]}… ← rating {rating.rating_id[:12]}… ({said}{corrected}) at {rating.rated_at}"
        )
    return tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inference_id")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True)
    try:
        console.print(draw(asyncio.run(walk_back(LocalSettings(), arguments.inference_id))))
    except httpx.HTTPStatusError as error:
        raise SystemExit(f"{error.request.url}: {error.response.status_code} {error.response.text}") from error
    except httpx.TransportError as error:
        raise SystemExit(f"the stack does not answer ({error}); start it with `make up`") from error


if __name__ == "__main__":
    main()
