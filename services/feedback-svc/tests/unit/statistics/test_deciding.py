"""How experiments end, from users to verdict."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback_svc.domain.statistics.analysing import analyse
from feedback_svc.domain.statistics.arms import ArmEpoch, Scale, arm_epoch_of
from feedback_svc.domain.statistics.betting import Arrival
from feedback_svc.domain.statistics.deciding import decide
from feedback_svc.domain.statistics.moments import MeanMoments, ProportionMoments
from feedback_svc.domain.statistics.plan import RESPONSE_RATE, ArmSeen, Guardrail, Plan, PlannedArm, Rule
from feedback_svc.domain.statistics.results import Decision, GuardrailState, Verdict
from feedback_svc.domain.statistics.sentences import summary
from feedback_svc.domain.statistics.users import UserMoments

SCALE = Scale()
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PLAN = Plan(
    arms=tuple(PlannedArm(variant_id=name, shares_0_1={1: 0.5}) for name in "ab"), metric="stars", max_users=1000
)
WORSE, SAME, BETTER = (2, 3, 3, 4), (3, 4, 4, 5), (4, 5, 5, 5)


def an_arm(stars: tuple[int, ...], *, users: int = 100, tenured: bool = True, units: int | None = None) -> ArmEpoch:
    rated = [
        UserMoments(before=4.0 if tenured else None).with_rating(float(stars[at % len(stars)])) for at in range(users)
    ]
    return arm_epoch_of(rated, scale=SCALE, units=users if units is None else units)


def verdict(plan: Plan, *arms: ArmEpoch, after: timedelta = timedelta(days=30), last_look: int = 0) -> Verdict | None:
    seen = [
        ArmSeen(variant_id=planned.variant_id, epochs={1: arm}) for planned, arm in zip(plan.arms, arms, strict=True)
    ]
    return decide(plan, analyse(plan, seen), started_at=NOON, now=NOON + after, last_look=last_look)


def decision(plan: Plan, *arms: ArmEpoch, after: timedelta = timedelta(days=30), last_look: int = 0) -> Decision | None:
    found = verdict(plan, *arms, after=after, last_look=last_look)
    return found.decision if found else None


class TestAlwaysValid:
    def test_promotes_what_is_better_and_says_by_how_much(self) -> None:
        found = verdict(PLAN, an_arm(SAME), an_arm(BETTER))

        assert found is not None
        assert (found.decision, found.variant_id) == (Decision.PROMOTE, "b")
        assert "better by at least 0." in found.reason

    def test_rolls_back_what_is_worse(self) -> None:
        found = verdict(PLAN, an_arm(SAME), an_arm(WORSE))

        assert found is not None
        assert (found.decision, found.variant_id) == (Decision.ROLLBACK, "a")

    def test_turns_around_where_less_is_better(self) -> None:
        plan = replace(PLAN, higher_is_better=False)

        assert decision(plan, an_arm(SAME), an_arm(WORSE)) is Decision.PROMOTE
        assert decision(plan, an_arm(SAME), an_arm(BETTER)) is Decision.ROLLBACK

    def test_says_nothing_below_fifty_users_in_the_smaller_arm(self) -> None:
        assert decision(PLAN, an_arm(SAME), an_arm(BETTER, users=49, units=100)) is None

    def test_goes_on_while_nothing_is_beyond_chance(self) -> None:
        assert decision(PLAN, an_arm(SAME), an_arm(SAME)) is None

    def test_ends_inconclusive_at_the_most_users_and_keeps_the_champion(self) -> None:
        found = verdict(PLAN, an_arm(SAME, users=500), an_arm(SAME, users=500))

        assert found is not None
        assert (found.decision, found.variant_id) == (Decision.INCONCLUSIVE, None)
        assert "a stays" in found.reason

    def test_calls_equivalent_what_differs_less_than_matters(self) -> None:
        plan = replace(PLAN, smallest_effect=0.3)

        assert decision(plan, an_arm(SAME, users=400), an_arm(SAME, users=400)) is Decision.EQUIVALENT
        assert decision(plan, an_arm(SAME, users=60), an_arm(SAME, users=60)) is None

    def test_promotes_a_cheaper_model_that_is_not_worse_than_is_borne(self) -> None:
        plan = replace(PLAN, margin=0.4)

        assert decision(plan, an_arm(SAME, users=400), an_arm(SAME, users=400)) is Decision.PROMOTE
        assert decision(plan, an_arm(SAME, users=400), an_arm(WORSE, users=400)) is Decision.ROLLBACK


class TestOtherRules:
    def test_a_fixed_test_never_decides_before_its_horizon(self) -> None:
        plan = replace(PLAN, rule=Rule.FIXED, planned_users=400)
        arms = an_arm(SAME), an_arm(BETTER)

        assert decision(plan, *arms) is None
        assert decision(replace(plan, planned_users=200), *arms) is Decision.PROMOTE
        assert decision(replace(plan, planned_users=200), an_arm(SAME), an_arm(SAME)) is Decision.INCONCLUSIVE

    def test_a_group_sequential_one_decides_at_new_looks_only(self) -> None:
        plan = replace(PLAN, rule=Rule.GROUP_SEQUENTIAL, planned_users=400)
        arms = an_arm(SAME), an_arm(BETTER)

        assert decision(plan, *arms, last_look=4) is Decision.PROMOTE
        assert decision(plan, *arms, last_look=5) is None


class TestSafeguards:
    def test_a_split_that_is_off_invalidates_everything(self) -> None:
        assert decision(PLAN, an_arm(SAME, units=1000), an_arm(BETTER, units=800)) is Decision.INVALID

    def test_promotes_nobody_before_the_minimum_run_but_rolls_back_at_once(self) -> None:
        plan = replace(PLAN, min_run=timedelta(days=7))

        assert decision(plan, an_arm(SAME), an_arm(BETTER), after=timedelta(days=1)) is None
        assert decision(plan, an_arm(SAME), an_arm(BETTER), after=timedelta(days=7)) is Decision.PROMOTE
        assert decision(plan, an_arm(SAME), an_arm(WORSE), after=timedelta(days=1)) is Decision.ROLLBACK

    def test_does_not_promote_on_the_word_of_fresh_accounts_alone(self) -> None:
        champion, challenger = an_arm(SAME, users=150), an_arm(SAME, users=150)
        hostile = replace(champion, fresh=an_arm((1,), users=40, tenured=False).fresh, units=190)
        praised = replace(challenger, fresh=an_arm((5,), users=40, tenured=False).fresh, units=190)

        assert decision(PLAN, hostile, praised) is None
        ended = verdict(replace(PLAN, max_users=380), hostile, praised)
        assert ended is not None
        assert ended.decision is Decision.INCONCLUSIVE
        assert "accounts without a past" in ended.reason

    def test_where_nobody_has_a_past_fresh_accounts_decide(self) -> None:
        assert decision(PLAN, an_arm(SAME, tenured=False), an_arm(BETTER, tenured=False)) is Decision.PROMOTE

    def test_does_not_promote_while_those_who_do_not_answer_could_turn_it_around(self) -> None:
        silent = an_arm((4, 4, 5, 5), users=160, units=200)
        plan = replace(PLAN, max_users=360)

        found = verdict(plan, an_arm((1, 4, 4, 5, 5), users=200), silent)

        assert found is not None
        assert found.decision in {Decision.INVALID, Decision.INCONCLUSIVE}
        assert "those who did not could turn it around" in found.reason

    def test_a_breached_guardrail_rolls_back_even_the_better_one(self) -> None:
        plan = replace(PLAN, guardrails=(Guardrail(name="error_rate", margin=0.01),))
        arms = [
            arm.with_guardrail("error_rate", ProportionMoments(events=events, trials=1000))
            for arm, events in ((an_arm(SAME), 10), (an_arm(BETTER), 120))
        ]

        found = verdict(plan, *arms)

        assert found is not None
        assert found.decision is Decision.ROLLBACK
        assert "error_rate" in found.reason

    def test_a_guardrail_that_looks_worse_than_borne_holds_a_promotion_back(self) -> None:
        plan = replace(PLAN, guardrails=(Guardrail(name="latency_ms", margin=5.0),))
        slow = [
            arm.with_guardrail("latency_ms", MeanMoments.of([base, base + 40.0] * 60))
            for arm, base in ((an_arm(SAME), 100.0), (an_arm(BETTER), 108.0))
        ]

        assert decision(plan, *slow) is None

    def test_fewer_answers_than_are_borne_are_harm(self) -> None:
        plan = replace(PLAN, guardrails=(Guardrail(name=RESPONSE_RATE, margin=0.05, higher_is_worse=False),))

        assert decision(plan, an_arm(SAME, users=400), an_arm(SAME, users=240, units=400)) is Decision.ROLLBACK

    def test_plain_harm_in_a_tiny_arm_is_acted_on(self) -> None:
        plan = replace(PLAN, planned_users=2000)
        arms = [
            ArmSeen(
                variant_id="a", epochs={1: an_arm((5,), users=20)}, firsts=tuple(Arrival(at, 5) for at in range(20))
            ),
            ArmSeen(
                variant_id="b", epochs={1: an_arm((1,), users=20)}, firsts=tuple(Arrival(at, 1) for at in range(20))
            ),
        ]
        found = decide(plan, analyse(plan, arms), started_at=NOON, now=NOON)

        assert found is not None
        assert found.decision is Decision.ROLLBACK


class TestSeveral:
    PLAN = replace(PLAN, arms=tuple(PlannedArm(variant_id=name, shares_0_1={1: 1 / 3}) for name in "abc"))

    def test_promotes_the_best_of_those_that_are_better(self) -> None:
        found = verdict(self.PLAN, an_arm(SAME), an_arm(BETTER), an_arm((5,)))

        assert found is not None
        assert (found.decision, found.variant_id) == (Decision.PROMOTE, "c")

    def test_one_loser_does_not_end_it_for_the_other(self) -> None:
        assert decision(self.PLAN, an_arm(SAME), an_arm(WORSE), an_arm(SAME)) is None
        assert decision(self.PLAN, an_arm(SAME), an_arm(WORSE), an_arm(WORSE)) is Decision.ROLLBACK

    def test_each_comparison_pays_for_the_others(self) -> None:
        arms = [
            ArmSeen(variant_id=name, epochs={1: an_arm(stars)})
            for name, stars in zip("abc", (SAME, SAME, BETTER), strict=True)
        ]
        three, two = analyse(self.PLAN, arms), analyse(PLAN, [arms[0], arms[2]])
        wide, narrow = three.comparisons[1].interval, two.comparisons[0].interval

        assert wide is not None
        assert narrow is not None
        assert wide.upper - wide.lower > narrow.upper - narrow.lower
        assert three.comparisons[1].adjusted_p > two.comparisons[0].adjusted_p


class TestFigures:
    def test_every_variant_is_told_with_its_figures(self) -> None:
        arms = [an_arm(SAME), an_arm(BETTER).with_guardrail("latency_ms", MeanMoments.of([90.0, 110.0]))]
        seen = [ArmSeen(variant_id=name, epochs={1: arm}) for name, arm in zip("ab", arms, strict=True)]
        champion, challenger = analyse(PLAN, seen).variants

        assert (champion.samples, champion.users, champion.mean) == (100, 100, 4.0)
        assert challenger.latency_ms == pytest.approx(100.0)
        assert challenger.significant
        assert not champion.significant
        assert challenger.best_0_1 is not None
        assert challenger.best_0_1 > 0.99
        assert challenger.lower is not None
        assert challenger.mean is not None
        assert challenger.lower < challenger.mean

    def test_guardrails_hold_only_where_worse_is_ruled_out(self) -> None:
        plan = replace(PLAN, guardrails=(Guardrail(name="error_rate", margin=0.1),))
        few, many = (
            [
                ArmSeen(
                    variant_id=name,
                    epochs={1: an_arm(SAME).with_guardrail("error_rate", ProportionMoments(events=n // 20, trials=n))},
                )
                for name in "ab"
            ]
            for n in (60, 2000)
        )

        assert analyse(plan, few).comparisons[0].guardrails[0].state is GuardrailState.OPEN
        assert analyse(plan, many).comparisons[0].guardrails[0].state is GuardrailState.HOLDS

    def test_one_sentence_for_a_manager(self) -> None:
        better = [ArmSeen(variant_id=n, epochs={1: an_arm(s)}) for n, s in (("a", SAME), ("b", BETTER))]
        nobody = [ArmSeen(variant_id=name, epochs={}) for name in "ab"]

        assert summary(PLAN, analyse(PLAN, better)).endswith("it is better.")
        assert summary(PLAN, analyse(PLAN, nobody)) == "b: not enough rated users yet to say anything."
        assert "200 of 900 users" in summary(replace(PLAN, rule=Rule.FIXED, planned_users=900), analyse(PLAN, better))
