"""Kafka's door: finished jobs, ended experiments, and data that must not be learned from any more."""

from loopwright.broker import EventRouter
from loopwright.contracts.datasets import DatasetDeprecated
from loopwright.contracts.envelope import Received
from loopwright.contracts.experiments import ExperimentConcluded
from loopwright.contracts.jobs import JobFinished, JobKind
from loopwright.contracts.registry import DATASET_DEPRECATED, EXPERIMENT_CONCLUDED, JOB_FINISHED
from loopwright.unit_of_work import Work
from registry_svc.handlers.conclusions import conclude_experiment
from registry_svc.handlers.deprecations import deprecate_data
from registry_svc.handlers.registrations import record_product
from registry_svc.handlers.releases import record_finished_job

events = EventRouter()


@events.on(JOB_FINISHED)
async def on_job_finished(received: Received[JobFinished], work: Work) -> None:
    event = received.event
    if event.study_id is not None:
        return  # of a study's trials the best becomes a candidate, as a job of its own
    if event.kind is JobKind.TRAIN and event.method != "full":
        await record_finished_job(event, work)
    else:
        await record_product(event, work)


@events.on(EXPERIMENT_CONCLUDED)
async def on_experiment_concluded(received: Received[ExperimentConcluded], work: Work) -> None:
    await conclude_experiment(received.event, work)


@events.on(DATASET_DEPRECATED)
async def on_dataset_deprecated(received: Received[DatasetDeprecated], work: Work) -> None:
    await deprecate_data(received.event, work)
