"""What the MLflow page of a run says, and which code it names."""

import json
import shlex
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loopwright.contracts.jobs import JobKind, JobRequested
from loopwright.contracts.registry import JOB_REQUESTED
from loopwright.contracts.tasks import Hyperparameters
from loopwright.testing.examples import an_event
from trainer_svc.adapters import code_version as code_versions
from trainer_svc.adapters.code_version import CodeVersion, code_version
from trainer_svc.adapters.run_page import note_of, params_of, repeat_command, tags_of
from trainer_svc.api.schemas import NewJob
from trainer_svc.domain.jobs import Job, Lease

CODE = CodeVersion(release="1.2", commit="c" * 40)
JobMaker = Callable[..., Job]


@pytest.fixture
def a_job() -> JobMaker:
    """Function that makes a job as its worker sees it."""

    def make(**changes: object) -> Job:
        request: JobRequested = an_event(JOB_REQUESTED)
        fields: dict[str, object] = {
            "lease": Lease(job_id="job-1", owner="here", attempt=1), "kind": JobKind.TRAIN,
            "job_name": "it's a \"job\" $(reboot)", "task_id": "mood", "base_model": "tiny",
            "training_data": request.training_data, "method": "lora", "objective": "sft",
            "hyperparameters": Hyperparameters(lora_rank=4, seed=7), "source_adapter": None, "devices": ("cpu:0",),
            "mlflow_run_id": None, "traceparent": None, "requested_at": datetime(2026, 11, 21, tzinfo=UTC),
        }  # fmt: skip
        return Job(**(fields | changes))

    return make


class TestRepeatCommand:
    def test_asks_through_a_shell_for_the_same_job(self, a_job: JobMaker) -> None:
        job = a_job()

        words = shlex.split(repeat_command(job).replace("$(make -s token ROLE=engineer)", "TOKEN"))

        assert words[:4] == ["curl", "--fail-with-body", "-X", "POST"]
        asked = NewJob.model_validate_json(words[words.index("-d") + 1])
        assert (asked.job_name, asked.base_model, asked.method, asked.objective) == (
            job.job_name, job.base_model, job.method, job.objective,
        )  # fmt: skip
        assert asked.dataset_id == job.training_data.version_id
        assert asked.hyperparameters == job.hyperparameters

    def test_names_every_setting_for_defaults_may_change(self, a_job: JobMaker) -> None:
        words = shlex.split(repeat_command(a_job()).replace("$(make -s token ROLE=engineer)", "TOKEN"))
        body = json.loads(words[words.index("-d") + 1])
        assert body["hyperparameters"].keys() == Hyperparameters.model_fields.keys()

    def test_of_several_devices_asks_for_as_many(self, a_job: JobMaker) -> None:
        words = shlex.split(repeat_command(a_job(devices=("cuda:0", "cuda:3"))).replace("$(make", "(make"))
        assert json.loads(words[words.index("-d") + 1])["device_count"] == 2


class TestPage:
    def test_holds_everything_that_was_chosen(self, a_job: JobMaker) -> None:
        job = a_job()
        params = params_of(job)
        assert set(Hyperparameters.model_fields) < params.keys()
        chosen = ("base_model", "method", "objective", "seed", "lora_rank", "devices", "dataset_version")
        assert [params[name] for name in chosen] == [
            "tiny", "lora", "sft", "7", "4", "cpu:0", job.training_data.version_id,
        ]  # fmt: skip

    def test_names_data_and_code(self, a_job: JobMaker) -> None:
        job = a_job()
        tags = tags_of(job, CODE)
        assert tags["mlflow.source.git.commit"] == CODE.commit
        assert tags["loopwright.dataset_version"] == job.training_data.version_id
        assert tags["mlflow.note.content"] == note_of(job, CODE)
        assert job.training_data.train.artifact.sha256 in note_of(job, CODE)
        assert repeat_command(job) in note_of(job, CODE)
        assert len(note_of(job, CODE)) < 8_000  # MLflow's longest tag

    def test_without_a_commit_names_the_release(self, a_job: JobMaker) -> None:
        tags = tags_of(a_job(), CodeVersion(release="1.2"))
        assert "mlflow.source.git.commit" not in tags
        assert tags["loopwright.code_version"] == "trainer-svc 1.2"


class TestCodeVersion:
    @pytest.fixture(autouse=True)
    def fresh(self) -> None:
        code_version.cache_clear()

    def test_is_a_commit_where_the_package_is_tracked(self, tmp_path: Path) -> None:
        package = a_work_tree(tmp_path)
        found = code_version(package)
        assert found.commit is not None
        assert (len(found.commit), found.changed) == (40, False)
        (package / "code_version.py").write_text("changed")
        code_version.cache_clear()
        assert code_version(package).changed
        assert str(code_version(package)).endswith("with changes")

    def test_is_a_release_inside_a_work_tree_of_somebody_else(self, tmp_path: Path) -> None:
        a_work_tree(tmp_path)
        installed = tmp_path / "site-packages"
        installed.mkdir()
        (installed / "code_version.py").touch()
        assert code_version(installed).commit is None
        assert code_version(installed).release

    def test_does_without_git(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = a_work_tree(tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert code_version(package).commit is None

    def test_does_not_wait_for_a_git_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
        monkeypatch.setattr(code_versions, "_LONGEST_S", 0.2)
        assert code_version(tmp_path).commit is None

    def test_does_without_the_packages_own_metadata(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(code_versions, "_PACKAGE", "no-such-package")
        assert code_version(tmp_path) == CodeVersion(release="0")


def a_work_tree(folder: Path) -> Path:
    """A repository with one tracked file, in a package."""
    package = folder / "package"
    package.mkdir()
    (package / "code_version.py").touch()
    names = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    for command in (("init", "-q"), ("add", "."), (*names, "commit", "-q", "-m", "first")):
        subprocess.run(["git", "-C", folder, *command], check=True, capture_output=True)
    return package
