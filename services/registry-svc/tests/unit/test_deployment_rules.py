"""Champion and candidates: how they change, and when the end of an experiment no longer speaks of them."""

from datetime import UTC, datetime, timedelta

import pytest

from loopwright.contracts.experiments import ArmEvidence, ComparedArm, Evidence, Outcome
from loopwright.errors import Conflict
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.conclusions import Consequence, Ruling, further_leaving, rule_on
from registry_svc.domain.deployments import Deployment, check_revision, earlier_champion, previous_champion
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
        assert refused.value.facts == {"revision": 4, "changed_by": "", "champion": "base:1"}

    def test_finds_who_was_in_charge_before(self):
        history = [deployment(FIRST, revision=4), deployment(FIRST, revision=3), deployment(BASE, FIRST, revision=2)]

        assert previous_champion(history, FIRST) == BASE
        with pytest.raises(Conflict):
            previous_champion(history[:2], FIRST)

    def test_only_a_champion_comes_back(self):
        history = [deployment(SECOND, revision=3), deployment(BASE, FIRST, revision=2)]

        assert earlier_champion(history, BASE) == BASE
        with pytest.raises(Conflict, match="never in charge"):
            earlier_champion(history, FIRST)


class TestConsequences:
    def ruling(self, current: Deployment | None, outcome: Outcome = Outcome.PROMOTE, winner: str | None = "mood:1"):
        return rule_on(outcome, champion="base:1", candidate="mood:1", winner=winner, deployment=current)

    @pytest.mark.parametrize(
        ("outcome", "consequence"),
        [
            (Outcome.PROMOTE, Consequence.PROMOTE),
            (Outcome.ROLLBACK, Consequence.DISMISS),
            (Outcome.INCONCLUSIVE, Consequence.DISMISS),
            (Outcome.INVALID, Consequence.DISMISS),
            (Outcome.STOPPED, Consequence.DISMISS),
        ],
    )
    def test_follows_what_still_speaks_of_the_deployment(self, outcome, consequence):
        assert self.ruling(deployment(BASE, FIRST), outcome) == Ruling(consequence)

    def test_does_nothing_where_there_is_nothing_to_do(self):
        assert self.ruling(None) == Ruling(Consequence.NOTHING, "nothing serves the task")
        absent = self.ruling(deployment(BASE, SECOND))
        assert (absent.consequence, absent.applied) == (Consequence.NOTHING, False)

    def test_a_candidate_whose_trial_is_over_leaves_whatever_else_is_wrong(self):
        for ruling in (self.ruling(deployment(SECOND, FIRST)), self.ruling(deployment(BASE, FIRST), winner=None)):
            assert (ruling.consequence, ruling.applied) == (Consequence.RELEASE, False)

    def test_harm_by_what_is_in_charge_by_then_is_rolled_back(self):
        assert self.ruling(deployment(FIRST), Outcome.ROLLBACK) == Ruling(Consequence.ROLL_BACK)
        assert self.ruling(deployment(FIRST), Outcome.STOPPED).consequence is Consequence.NOTHING

    def test_whatever_else_was_tried_and_is_still_deployed_leaves(self):
        figures = ArmEvidence(users=0, ratings=0, mean=None, variance=None)
        tried = [ComparedArm(variant_id=name, figures=figures, effect=None, lower=None, upper=None)
                 for name in ("mood:1", "mood:2", "mood:7", "base:1")]  # fmt: skip
        evidence = Evidence(
            method="m", alpha=0.05, champion=figures, candidate=figures, effect=None, lower=None, upper=None,
            further_candidates=tried,
        )  # fmt: skip
        other = VariantId("mood", 3)
        current = deployment(BASE, FIRST, SECOND, other)
        assert further_leaving(evidence, candidate="mood:1", deployment=current) == (SECOND,)


def test_aliases_point_at_the_version_that_entered_the_status_last():
    def version(number: int, status: ModelStatus, minutes: int) -> ModelVersion:
        return ModelVersion(
            variant=VariantId("mood", number), task_id="mood", base_model="base", format=ModelFormat.LORA, artifact=None,
            status=status, job_id=None, dataset_version_id=None, mlflow_version=number + 10, mlflow_run_id="r",
            description="", created_by="", created_at=NOW, updated_at=NOW, subject=f"job:{number}",
            status_changed_at=NOW + timedelta(minutes=minutes),
        )  # fmt: skip

    versions = [
        version(1, ModelStatus.ARCHIVED, 9),
        version(2, ModelStatus.ARCHIVED, 5),
        version(3, ModelStatus.PRODUCTION, 7),
    ]
    assert wanted_aliases(versions) == {"archived": 11, "production": 13}
