"""Who leaves a full server, how a server differs from what it should be, and which promotions are taken back."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.contracts.tasks import GuardrailPolicy
from registry_svc.domain.capacity import Standby, least_used
from registry_svc.domain.guardrails import Figures, why_harmful, wilson_lower
from registry_svc.domain.models import VariantId
from registry_svc.domain.replicas import LoadedModel, Replica, drift, lacks_room, leaving
from registry_svc.jobs.serving import variant_named

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def standby(version: int, *, uses: int | None, minutes: int = 0) -> Standby:
    variant = VariantId("mood", version)
    return Standby(task_id="mood", variant=variant, uses=uses, deployed_at=NOW + timedelta(minutes=minutes))


class TestEviction:
    def test_the_least_used_leaves(self):
        assert least_used([standby(1, uses=5), standby(2, uses=1), standby(3, uses=9)]) == standby(2, uses=1)

    def test_without_counts_who_was_deployed_longest_ago(self):
        assert least_used([standby(1, uses=None, minutes=5), standby(2, uses=None)]) == standby(2, uses=None)

    def test_nobody_leaves_where_everything_is_in_use(self):
        assert least_used([]) is None

    @pytest.mark.parametrize(("capacity", "full"), [(None, False), (5, False), (4, True), (3, True)])
    def test_a_server_is_full_at_its_capacity(self, capacity, full):
        assert lacks_room(4, capacity=capacity) is full


class TestDrift:
    def replica(self, *models: LoadedModel, problem: str | None = None) -> Replica:
        return Replica(
            url="http://a", problem=problem, models=models, capacity=4, capacity_source="setting", seen_at=NOW
        )

    def adapter(self, name: str, *, ours: bool = True, problem: str | None = None) -> LoadedModel:
        return LoadedModel(name=name, adapter=True, ours=ours, probed_at=NOW, probe_problem=problem)

    def test_a_server_that_is_as_it_should_be_does_not_differ(self):
        seen = self.replica(LoadedModel(name="base", adapter=False, ours=False), self.adapter("mood-v1"))
        assert drift(seen, wanted=["base", "mood-v1"], wanted_anywhere={"base", "mood-v1"}) == ()

    def test_says_what_is_missing_broken_left_over_and_foreign(self):
        seen = self.replica(
            self.adapter("mood-v1", problem="500"), self.adapter("mood-v2"), self.adapter("guest", ours=False)
        )
        assert drift(seen, wanted=["mood-v1", "mood-v3"], wanted_anywhere={"mood-v1", "mood-v3"}) == (
            "mood-v3 is not loaded",
            "mood-v1 is loaded, but does not answer: 500",
            "mood-v2 is loaded, and leaves",
            "guest is not ours, and is left alone",
        )

    def test_only_what_is_ours_and_unneeded_leaves(self):
        seen = self.replica(self.adapter("mood-v1"), self.adapter("mood-v2"), self.adapter("guest", ours=False))
        assert [model.name for model in leaving(seen, {"mood-v1"})] == ["mood-v2"]

    def test_of_a_server_that_is_away_nothing_else_is_said(self):
        assert drift(self.replica(problem="refused"), wanted=["a"], wanted_anywhere=set()) == (
            "cannot be asked: refused",
        )

    @pytest.mark.parametrize(
        ("name", "variant"),
        [("mood-v2", VariantId("mood", 2)), ("a-v1-v3", VariantId("a-v1", 3)), ("base", None), ("-v1", None)],
    )
    def test_names_lead_back_to_versions(self, name, variant):
        assert variant_named(name) == variant


class TestGuardrails:
    def figures(self, answered: int, failed: int = 0, within: dict[float, int] | None = None) -> Figures:
        return Figures(answered=answered, failed=failed, within_s=within or {})

    def test_errors_beyond_the_limit_are_harm_once_they_are_sure(self):
        policy = GuardrailPolicy(min_requests=10, max_error_rate_0_1=0.1)
        assert why_harmful(policy, self.figures(0, 9)) is None  # too few to judge
        assert why_harmful(policy, self.figures(17, 3)) is None  # 15%, but that may be chance
        assert "10 of 20 requests failed" in (why_harmful(policy, self.figures(10, 10)) or "")

    def test_slow_answers_are_harm_where_the_task_sets_a_limit(self):
        slow = self.figures(100, within={0.5: 50, 1.0: 60, math.inf: 100})
        assert why_harmful(GuardrailPolicy(), slow) is None
        assert "40 of 100 answers took longer than 1 s" in (why_harmful(GuardrailPolicy(max_p95_s=0.7), slow) or "")
        assert why_harmful(GuardrailPolicy(max_p95_s=2), slow) is None  # beyond the last bound nobody knows

    def test_figures_count_from_the_first_look_and_survive_a_router_that_began_anew(self):
        first = self.figures(100, 5, {1.0: 90, math.inf: 100})
        assert self.figures(130, 7, {1.0: 110, math.inf: 130}).since(first) == self.figures(
            30, 2, {1.0: 20, math.inf: 30}
        )
        assert self.figures(3, 0).since(first) == self.figures(3, 0)

    def test_the_bound_is_wilsons(self):
        # by hand from the formula of Wilson 1927 at z = 1.6449: 10 of 50
        assert wilson_lower(10, 50) == pytest.approx(0.1235, abs=1e-4)

    @given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_the_bound_lies_between_nothing_and_the_share(self, counts):
        hits, trials = counts
        assert 0 <= wilson_lower(hits, trials) <= hits / trials
