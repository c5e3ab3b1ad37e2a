"""What MLflow and rows are found to differ in, and what is done about it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from registry_svc.domain.agreement import AliasMove, FindingKind, Tracked, TrackedModel, compare
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import ModelStatus, ModelVersion, VariantId

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def a_row(number: int, status: ModelStatus = ModelStatus.STAGING, **changes) -> ModelVersion:
    row = ModelVersion(
        variant=VariantId("mood", number), task_id="mood", base_model="base", format=ModelFormat.LORA, artifact=None,
        status=status, job_id=f"{number}", dataset_version_id=None, mlflow_version=number, mlflow_run_id="run",
        description="", created_by="", created_at=NOW, updated_at=NOW, status_changed_at=NOW + timedelta(number),
        subject=f"job:{number}",
    )  # fmt: skip
    return replace(row, **changes)


def a_version(number: int, **changes) -> TrackedModel:
    version = TrackedModel(
        name="mood", version=number, run_id="run", subject=f"job:{number}", status="staging", marked_unknown=False
    )
    return replace(version, **changes)


def tracked(*versions: TrackedModel, **aliases: int) -> Tracked:
    return Tracked(aliases={"mood": aliases}, versions=versions)


def differences(rows, there, *, pending=()):
    return compare(rows, there, pending=pending)


def test_nothing_differs_where_both_say_the_same():
    rows = [a_row(1, ModelStatus.ARCHIVED), a_row(2)]
    found = differences(rows, tracked(a_version(1, status="archived"), a_version(2), archived=1, staging=2, theirs=1))
    assert found.none_left
    assert found.findings == ()


def test_a_row_that_mlflow_lost_or_gave_to_another_is_vanished_and_its_aliases_wait():
    for there in (tracked(staging=7), tracked(a_version(1, subject="job:9"), staging=7)):
        found = differences([a_row(1)], there)
        assert [model.variant.version for model in found.vanished] == [1]
        assert found.alias_moves == ()
        assert found.statuses == {}


class TestUnknownVersions:
    def kinds(self, found):
        return [(one.mlflow_version, one.kind) for one in found.findings]

    def test_are_explained_and_marked_once(self):
        there = tracked(
            a_version(1), a_version(2, subject=None), a_version(3, subject="job:gone"), a_version(4, subject="job:1"),
            staging=1,
        )  # fmt: skip
        found = differences([a_row(1)], there)
        assert self.kinds(found) == [
            (2, FindingKind.FOREIGN), (3, FindingKind.ROW_LOST), (4, FindingKind.REGISTERED_TWICE),
        ]  # fmt: skip
        assert found.mark == found.findings
        marked = [replace(version, marked_unknown=version.version > 1) for version in there.versions]
        again = differences([a_row(1)], Tracked(aliases=there.aliases, versions=tuple(marked)))
        assert (again.mark, again.none_left, len(again.findings)) == ((), True, 3)

    def test_are_none_while_they_are_being_registered(self):
        found = differences([a_row(1)], tracked(a_version(1), a_version(2), staging=1), pending={"job:2"})
        assert found.findings == ()

    def test_of_models_that_are_none_of_ours_are_none_of_our_business(self):
        other = a_version(1, name="theirs", subject=None)
        assert differences([a_row(1)], tracked(a_version(1), other, staging=1)).findings == ()

    def test_lose_their_mark_when_they_are_known(self):
        found = differences([a_row(1)], tracked(a_version(1, marked_unknown=True), staging=1))
        assert [one.version for one in found.unmark] == [1]


def test_aliases_and_status_tags_follow_rows():
    rows = [a_row(1, ModelStatus.ARCHIVED), a_row(2, ModelStatus.PRODUCTION)]
    found = differences(rows, tracked(a_version(1), a_version(2, status=None), production=1, staging=2))
    assert found.alias_moves == (
        AliasMove(model_name="mood", alias="archived", version=1),
        AliasMove(model_name="mood", alias="production", version=2),
        AliasMove(model_name="mood", alias="staging", version=None),
    )
    assert found.statuses == {("mood", 1): ModelStatus.ARCHIVED, ("mood", 2): ModelStatus.PRODUCTION}
