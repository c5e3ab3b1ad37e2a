"""Kafka's door: finished jobs and ended experiments."""

from loopwright.broker import EventRouter
from loopwright.contracts.envelope import Received
from loopwright.contracts.experiments import ExperimentConcluded
from loopwright.contracts.jobs import JobFinished
from loopwright.contracts.registry import EXPERIMENT_CONCLUDED, JOB_FINISHED
from loopwright.unit_of_work import Work
from registry_svc.handlers.conclusions import conclude_experiment
from registry_svc.handlers.releases import record_finished_job

events = EventRouter()


@events.on(JOB_FINISHED)
async def on_job_finished(received: Received[JobFinished], work: Work) -> None:
    await record_finished_job(received.event, work)


@events.on(EXPERIMENT_CONCLUDED)
async def on_experiment_concluded(received: Received[ExperimentConcluded], work: Work) -> None:
    await conclude_experiment(received.event, work)
