"""What the MLflow page of a run says of its job, so that the run can be repeated from it."""

import json
import shlex

from loopwright.contracts.jobs import JobKind
from trainer_svc.adapters.code_version import CodeVersion
from trainer_svc.domain.jobs import Job

JOB_TAG = "loopwright.job_id"
_JOBS = "/api/v1/admin/finetuning/jobs"


def params_of(job: Job) -> dict[str, str]:
    """What was chosen for a run: enough to choose the same again."""
    chosen: dict[str, object] = {
        "kind": job.kind,
        "method": job.method,
        "objective": job.objective,
        "base_model": job.base_model,
        "dataset_id": job.training_data.dataset_id,
        "dataset_version": job.training_data.version_id,
        "devices": " ".join(job.devices),
    }
    return {name: str(value) for name, value in (chosen | dict(job.hyperparameters)).items()}


def tags_of(job: Job, code: CodeVersion) -> dict[str, str]:
    """What the run is of, and of which code."""
    tags = {
        JOB_TAG: job.lease.job_id,
        "loopwright.task_id": job.task_id,
        "loopwright.dataset_version": job.training_data.version_id,
        "loopwright.train_sha256": job.training_data.train.artifact.sha256,
        "loopwright.code_version": str(code),
        "mlflow.source.name": "trainer-svc",
        "mlflow.source.type": "JOB",
        "mlflow.note.content": note_of(job, code),
    }
    return tags if code.commit is None else tags | {"mlflow.source.git.commit": code.commit}


def note_of(job: Job, code: CodeVersion) -> str:
    """The page's text (Markdown), with the command that asks for the same run once more."""
    data = job.training_data
    return f"""Job `{job.lease.job_id}` of task `{job.task_id}`: {job.kind}, {job.method}, {job.objective} on `{job.base_model}`.

Learned from dataset version `{data.version_id}`: {data.train.samples} samples (sha256 `{data.train.artifact.sha256}`),
watched by {data.validation.samples}. Code: {code}.

### Repeat it

```
{repeat_command(job)}
```

`TRAINER_URL` is where trainer-svc listens (locally `http://127.0.0.1:8102`). Dataset versions never change and the seed
is among the settings: with the same code, on a CPU, the result is the same byte for byte. The artifact `job/job.json`
is what the training process was told.
"""


def repeat_command(job: Job) -> str:
    """A shell command that asks trainer-svc for the same run."""
    wanted: dict[str, object] = {
        "job_name": job.job_name,
        "hyperparameters": job.hyperparameters.model_dump(mode="json"),
    }
    if job.kind is JobKind.TRAIN:
        wanted |= {
            "base_model": job.base_model,
            "dataset_id": job.training_data.version_id,
            "method": job.method,
            "objective": job.objective,
        }
    else:
        wanted |= {"kind": job.kind, "source_job_id": "THE_TRAINING_JOB"}
    if len(job.devices) > 1:
        wanted["device_count"] = len(job.devices)
    body = shlex.quote(json.dumps(wanted, ensure_ascii=False))
    return (
        f'curl --fail-with-body -X POST "$TRAINER_URL{_JOBS}" \\\n'
        '  -H "Authorization: Bearer $(make -s token ROLE=engineer)" \\\n'
        f"  -H 'Content-Type: application/json' -d {body}"
    )
