"""Champion and candidates: how they change, and when the end of an experiment no longer speaks of them."""

from datetime import UTC, datetime, timedelta

import pytest

from loopwright.contracts.experiments import Outcome
from loopwright.errors import Conflict
from registry_svc.domain.conclusions import why_ignored
from registry_svc.domain.deployments import Deployment, check_revision, previous_champion
from registry_svc.domain.models import ModelStatus, ModelVersion, VariantId, wanted_aliases

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BASE, FIRST, SECOND = VariantId("base", 1), VariantId("mood", 1), VariantId("mood", 2)


def deployment(champion: VariantId = BASE, *candidates: VariantId, revision: int = 1) -> Deployment:
    return Deployment(
        task_id="mood", revision=revision, champion=champion, candidates=candidates, backend_urls=("http://a",),
        reason="", changed_at=NOW, changed_by="",
    )  # fmt: skip


class TestDeployment:
    def test_every_change_is_a_revision(self):
        one = deployment().with_candidate(FIRST, ("http://a", "http://b"))
        two = one.with_champion(FIRST, ("http://a",))

        assert (one.revision, one.candidates, one.backend_urls) == (2, (FIRST,), ("http://a", "http://b"))
        assert (two.revision, two.champion, two.candidates) == (3, FIRST, ())

    def test_a_candidate_is_deployed_once(self):
        assert deployment(BASE, FIRST).with_candidate(FIRST, ()).candidates == (FIRST,)

    def test_other_candidates_stay(self):
        assert deployment(BASE, FIRST, SECOND).with_champion(FIRST, ()).candidates == (SECOND,)
        assert deployment(BASE, FIRST, SECOND).without_candidate(FIRST).candidates == (SECOND,)

    def test_refuses_a_decision_on_an_old_revision(self):
        check_revision(deployment(revision=4), 4)
        with pytest.raises(Conflict) as refused:
            check_revision(deployment(revision=4), 3)
        assert refused.value.facts == {"revision": 4}

    def test_finds_who_was_in_charge_before(self):
        history = [deployment(FIRST, revision=4), deployment(FIRST, revision=3), deployment(BASE, FIRST, revision=2)]

        assert previous_champion(history, FIRST) == BASE
        with pytest.raises(Conflict):
            previous_champion(history[:2], FIRST)


class TestWhyIgnored:
    def reason(self, current: Deployment | None, outcome: Outcome = Outcome.PROMOTE, winner: str | None = "mood:1"):
        return why_ignored(outcome, champion="base:1", candidate="mood:1", winner=winner, deployment=current)

    def test_follows_what_still_speaks_of_the_deployment(self):
        assert self.reason(deployment(BASE, FIRST)) is None
        assert self.reason(deployment(BASE, FIRST), Outcome.ROLLBACK, None) is None

    def test_ignores_what_does_not(self):
        assert self.reason(None) == "nothing serves the task"
        assert "mood:2 is" in (self.reason(deployment(SECOND, FIRST)) or "")
        assert "not among the candidates" in (self.reason(deployment(BASE, SECOND)) or "")
        assert "must name the candidate" in (self.reason(deployment(BASE, FIRST), winner="base:1") or "")
        assert "nobody" in (self.reason(deployment(BASE, FIRST), winner=None) or "")


def test_aliases_point_at_the_version_that_entered_the_status_last():
    def version(number: int, status: ModelStatus, minutes: int) -> ModelVersion:
        return ModelVersion(
            variant=VariantId("mood", number), task_id="mood", base_model="base", format="lora", artifact=None,
            status=status, job_id=None, dataset_version_id=None, mlflow_version=number + 10, mlflow_run_id="r",
            description="", created_by="", created_at=NOW, updated_at=NOW + timedelta(minutes=minutes),
        )  # fmt: skip

    versions = [
        version(1, ModelStatus.ARCHIVED, 9),
        version(2, ModelStatus.ARCHIVED, 5),
        version(3, ModelStatus.PRODUCTION, 7),
    ]
    assert wanted_aliases(versions) == {"archived": 11, "production": 13}
