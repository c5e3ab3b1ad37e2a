"""Who takes part in which experiment: layers, coverage, hold-out, lists, further arms, A/A and shadows."""

from collections import Counter

from pydantic import JsonValue

from loopwright.contracts.base import Event
from loopwright.contracts.registry import DEPLOYMENT_CHANGED, EXPERIMENT_CHANGED, TASK_DEFINED
from loopwright.testing.examples import an_event, example_payload
from router_svc.adapters.board import Board
from router_svc.domain.explaining import explain
from router_svc.domain.snapshot import Route, Snapshot
from router_svc.handlers.updating import take_in

CHAMPION, CANDIDATE, THIRD = "smollm2-135m-instruct:1", "log-anomaly:1", "log-anomaly:2"
TASK = "log-anomaly"
USERS = [f"user-{number}" for number in range(2000)]


def hash_of(user: str) -> str:
    return f"hash-of-{user}"


def deployed(variant_id: str) -> JsonValue:
    candidates = example_payload(DEPLOYMENT_CHANGED)["candidates"]
    assert isinstance(candidates, list)
    assert isinstance(candidates[0], dict)
    variant = candidates[0]["variant"]
    assert isinstance(variant, dict)
    return candidates[0] | {"variant": variant | {"variant_id": variant_id}}


DEPLOYMENT = an_event(DEPLOYMENT_CHANGED, candidates=[deployed(CANDIDATE), deployed(THIRD)])


def arm(variant_id: str, weight: float) -> JsonValue:
    return {"variant_id": variant_id, "weight_0_1": weight}


def an_experiment(number: int = 1, *, weight: float = 0.5, **changes: JsonValue) -> Event:
    fields: dict[str, JsonValue] = {
        "experiment_id": f"exp-{number}",
        "salt": f"salt-of-{number}",
        "champion": arm(CHAMPION, 1 - weight),
        "candidate": arm(CANDIDATE, weight),
    }
    return an_event(EXPERIMENT_CHANGED, **(fields | changes))


def layer(name: str = "prompt", from_0_1: float = 0, to_0_1: float = 1) -> JsonValue:
    return {"name": name, "salt": f"salt-of-{name}", "from_0_1": from_0_1, "to_0_1": to_0_1}


def a_snapshot(*events: Event) -> Snapshot:
    board = Board()
    for event in (an_event(TASK_DEFINED), DEPLOYMENT, *events):
        take_in(board, event)
    return board.snapshot


def routes(*events: Event) -> dict[str, Route]:
    snapshot = a_snapshot(*events)
    return {user: snapshot.route(TASK, user, hash_of(user)) for user in USERS}


def counted(route: Route) -> tuple[str, int | None, float | None] | None:
    return None if route.experiment_id is None else (route.variant_id, route.arm, route.propensity_0_1)


def is_uncounted_champion(route: Route) -> bool:
    nothing = (route.experiment_id, route.epoch, route.arm, route.propensity_0_1, route.shadow)
    return nothing == (None,) * 5 and route.variant_id == CHAMPION and not route.pinned


def test_a_route_tells_epoch_arm_and_propensity() -> None:
    got = routes(an_experiment(weight=0.25, epoch=7))
    assert {counted(route) for route in got.values()} == {(CHAMPION, 0, 0.75), (CANDIDATE, 1, 0.25)}
    assert {route.epoch for route in got.values()} == {7}


def test_units_outside_the_coverage_get_the_champion_uncounted_and_the_rest_keep_their_arms() -> None:
    everybody, some = routes(an_experiment()), routes(an_experiment(coverage_0_1=0.3))
    taking_part = {user for user, route in some.items() if route.experiment_id is not None}
    assert 0.25 < len(taking_part) / len(USERS) < 0.35
    assert all(some[user].variant_id == everybody[user].variant_id for user in taking_part)
    assert all(is_uncounted_champion(some[user]) for user in set(USERS) - taking_part)


def test_experiments_in_disjoint_parts_of_a_layer_share_no_unit_and_a_ramp_of_one_leaves_the_other() -> None:
    first, second = an_experiment(1, layer=layer(to_0_1=0.5)), an_experiment(2, layer=layer(from_0_1=0.5))
    alone = [routes(one) for one in (first, second)]
    together = routes(first, second)
    for user in USERS:
        taken = [one[user] for one in alone if one[user].experiment_id is not None]
        assert len(taken) == 1
        assert together[user] == taken[0]


def test_of_overlapping_experiments_the_first_by_id_that_takes_the_unit_assigns() -> None:
    # two layers of one task: a request can have only one variant
    first, second = an_experiment(1, layer=layer("a", to_0_1=0.5)), an_experiment(2, layer=layer("b"))
    got = Counter(route.experiment_id for route in routes(second, first).values())
    assert set(got) == {"exp-1", "exp-2"}
    alone = routes(first)
    together = routes(second, first)
    assert all(together[user] == alone[user] for user in USERS if alone[user].experiment_id == "exp-1")


def test_the_hold_out_takes_part_in_nothing_whichever_experiment_names_it() -> None:
    hold_out = layer("for-ever", to_0_1=0.2)
    held = {user for user, route in routes(an_experiment(1, hold_out=hold_out)).items() if not route.experiment_id}
    assert 0.15 < len(held) / len(USERS) < 0.25
    shadow = an_experiment(3, kind="shadow", candidate=arm(THIRD, 1))
    got = routes(an_experiment(1, layer=layer(to_0_1=0.5)), an_experiment(2, hold_out=hold_out), shadow)
    assert {user for user, route in got.items() if is_uncounted_champion(route)} == held


def test_excluded_units_get_the_champion_uncounted_and_forced_ones_their_variant() -> None:
    tester, excluded = USERS[0], USERS[1]
    lists: dict[str, JsonValue] = {
        "excluded_units": [hash_of(excluded)],
        "forced_units": {hash_of(tester): THIRD, hash_of("x"): "gone:1"},
    }
    got = routes(an_experiment(1, layer=layer(to_0_1=0)), an_experiment(2, weight=1, **lists))
    assert is_uncounted_champion(got[excluded])
    forced = got[tester]
    assert (forced.variant_id, forced.pinned, forced.experiment_id, forced.arm) == (THIRD, True, None, None)
    assert [target.variant_id for target in forced.targets] == [THIRD, CHAMPION]
    assert {counted(got[user]) for user in USERS[2:]} == {(CANDIDATE, 1, 1.0)}
    assert is_uncounted_champion(routes(an_experiment(2, state="ended", **lists))[tester])


def test_further_candidates_are_arms_and_dropping_one_moves_only_its_units() -> None:
    arms = {"champion": arm(CHAMPION, 0.5), "candidate": arm(CANDIDATE, 0.25)}
    three = routes(an_experiment(further_candidates=[arm(THIRD, 0.25)], **arms))
    assert {counted(route) for route in three.values()} == {(CHAMPION, 0, 0.5), (CANDIDATE, 1, 0.25), (THIRD, 2, 0.25)}
    dropped = routes(an_experiment(further_candidates=[arm(THIRD, 0)], **arms))
    moved = {three[user].arm for user in USERS if three[user].arm != dropped[user].arm}
    assert moved == {2}
    assert {route.propensity_0_1 for route in dropped.values()} == {2 / 3, 1 / 3}


def test_the_arms_of_an_a_a_are_told_apart_though_one_variant_answers() -> None:
    got = routes(an_experiment(kind="aa", candidate=arm(CHAMPION, 0.5)))
    assert {counted(route) for route in got.values()} == {(CHAMPION, 0, 0.5), (CHAMPION, 1, 0.5)}
    assert {len(route.targets) for route in got.values()} == {1}
    as_ab = routes(an_experiment())
    assert all(got[user].arm == as_ab[user].arm for user in USERS)


def test_a_shadow_copies_its_share_and_shows_nobody_anything() -> None:
    shadow = an_experiment(3, weight=0.2, kind="shadow", epoch=4)
    got = routes(shadow)
    assert all(route.experiment_id is None and route.variant_id == CHAMPION for route in got.values())
    shadows = [route.shadow for route in got.values() if route.shadow is not None]
    assert 0.15 < len(shadows) / len(USERS) < 0.25
    assert {(one.experiment_id, one.epoch, one.arm, one.propensity_0_1) for one in shadows} == {("exp-3", 4, 1, 0.2)}
    assert {one.target.variant_id for one in shadows} == {CANDIDATE}


def test_a_shadow_beside_an_experiment_changes_no_answer_of_it() -> None:
    alone, beside = routes(an_experiment(1)), routes(an_experiment(1), an_experiment(3, kind="shadow"))
    assert all(counted(alone[user]) == counted(beside[user]) for user in USERS)
    copied = [int(route.shadow is not None) for route in beside.values()]
    arms = [route.arm or 0 for route in beside.values()]
    both = sum(arm and copy for arm, copy in zip(arms, copied, strict=True)) / len(USERS)
    assert 0.2 < both < 0.3  # a quarter: the copies know nothing of the arms


def test_nothing_is_copied_to_a_candidate_that_is_not_loaded() -> None:
    got = routes(an_experiment(kind="shadow", candidate=arm("gone:1", 0.5)))
    assert {route.shadow for route in got.values()} == {None}


def test_an_explanation_is_what_happens() -> None:
    snapshot = a_snapshot(
        an_experiment(1, layer=layer(to_0_1=0.5), coverage_0_1=0.5, excluded_units=[hash_of(USERS[0])]),
        an_experiment(2, layer=layer(from_0_1=0.5), hold_out=layer("for-ever", to_0_1=0.1)),
        an_experiment(3, kind="shadow", forced_units={hash_of(USERS[1]): THIRD}),
    )
    for user in USERS[:200]:
        told = explain(snapshot, TASK, unit=user, unit_hash=hash_of(user))
        assert told.route == snapshot.route(TASK, user, hash_of(user))
        if told.forced is not None or told.held_out:
            continue
        taken = [step for step in told.steps if step.absence is None and not step.experiment.is_shadow]
        if not taken:
            assert told.route.experiment_id is None
            continue
        assert (told.route.experiment_id, told.route.arm) == (taken[0].experiment.experiment_id, taken[0].arm)
    absences = {user: explain(snapshot, TASK, unit=user, unit_hash=hash_of(user)).steps[0].absence for user in USERS}
    assert absences[USERS[0]] == "excluded"
    assert set(absences.values()) == {None, "excluded", "outside-layer", "not-covered"}
    assert explain(snapshot, TASK, unit=USERS[1], unit_hash=hash_of(USERS[1])).forced == THIRD


def test_the_board_counts_what_it_assigned_and_copied_and_nothing_else() -> None:
    board = Board()
    for event in (an_event(TASK_DEFINED), DEPLOYMENT, an_experiment(1), an_experiment(3, weight=1, kind="shadow")):
        take_in(board, event)
    got = [board.route(TASK, user, hash_of(user)) for user in USERS[:100]]
    board.route(f"{TASK}@{THIRD}", "ada", hash_of("ada"))
    candidates = sum(route.arm == 1 for route in got)
    assert board.assigned == {("exp-1", 0): 100 - candidates, ("exp-1", 1): candidates, ("exp-3", 1): 100}
