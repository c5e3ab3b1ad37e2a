"""Who answers: the highest version of everything, sticky arms, pins without fallback, the champion as the last resort."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from loopwright.contracts.base import Event
from loopwright.contracts.registry import DEPLOYMENT_CHANGED, EXPERIMENT_CHANGED, INFERENCE_RATED, TASK_DEFINED
from loopwright.errors import InvalidPayload, NotFound, ServingUnavailable
from loopwright.testing.examples import an_event, example_payload
from router_svc.adapters.board import Board
from router_svc.domain.snapshot import Snapshot
from router_svc.handlers.updating import take_in

CHAMPION, CANDIDATE = "smollm2-135m-instruct:1", "log-anomaly:1"
USERS = [f"user-{number}" for number in range(200)]
ADA = "hash-of-ada"


def a_snapshot(*events: Event) -> Snapshot:
    board = Board()
    for event in events:
        take_in(board, event)
    return board.snapshot


def an_experiment(weight: float = 0.5, **changes: JsonValue) -> Event:
    arms: dict[str, JsonValue] = {
        "champion": {"variant_id": CHAMPION, "weight_0_1": 1 - weight},
        "candidate": {"variant_id": CANDIDATE, "weight_0_1": weight},
    }
    return an_event(EXPERIMENT_CHANGED, **(arms | changes))


TASK, DEPLOYMENT = an_event(TASK_DEFINED), an_event(DEPLOYMENT_CHANGED)


def test_a_task_without_an_experiment_goes_to_the_champion() -> None:
    route = a_snapshot(TASK, DEPLOYMENT).route("log-anomaly", "ada", ADA)
    assert (route.variant_id, route.experiment_id, route.pinned) == (CHAMPION, None, False)
    assert [target.served_name for target in route.targets] == ["smollm2-135m-instruct"]


def test_an_experiment_assigns_both_arms_and_keeps_the_champion_behind_the_candidate() -> None:
    snapshot = a_snapshot(TASK, DEPLOYMENT, an_experiment())
    routes = {user: snapshot.route("log-anomaly", user, f"hash-of-{user}") for user in USERS}
    assert {route.variant_id for route in routes.values()} == {CHAMPION, CANDIDATE}
    for user, route in routes.items():
        assert snapshot.route("log-anomaly", user, f"hash-of-{user}") == route
        assert route.experiment_id == "exp-5d2a41"
        tried = [target.variant_id for target in route.targets]
        assert tried == ([CHAMPION] if route.variant_id == CHAMPION else [CANDIDATE, CHAMPION])


def test_a_candidate_that_is_not_loaded_stays_assigned_while_the_champion_answers() -> None:
    bare = an_event(DEPLOYMENT_CHANGED, candidates=[])
    route = a_snapshot(TASK, bare, an_experiment(weight=1)).route("log-anomaly", "ada", ADA)
    assert route.variant_id == CANDIDATE
    assert [target.variant_id for target in route.targets] == [CHAMPION]


def test_a_pinned_variant_is_in_no_experiment_and_has_no_fallback() -> None:
    route = a_snapshot(TASK, DEPLOYMENT, an_experiment(weight=0)).route(f"log-anomaly@{CANDIDATE}", "ada", ADA)
    assert (route.variant_id, route.experiment_id, route.pinned) == (CANDIDATE, None, True)
    assert [target.variant_id for target in route.targets] == [CANDIDATE]


@pytest.mark.parametrize("model", ["", "nothing", "log-anomaly@", "@log-anomaly:1", "log-anomaly@log-anomaly:9"])
def test_an_unknown_model_is_not_found_unless_it_is_a_task(model: str) -> None:
    snapshot = a_snapshot(TASK, DEPLOYMENT)
    if model == "log-anomaly@":
        assert snapshot.route(model, "ada", ADA).variant_id == CHAMPION
        return
    with pytest.raises(NotFound):
        snapshot.route(model, "ada", ADA)


def test_a_task_that_nothing_is_deployed_for_may_come_later() -> None:
    with pytest.raises(ServingUnavailable):
        a_snapshot(TASK).route("log-anomaly", "ada", ADA)


def test_an_ended_experiment_assigns_nobody() -> None:
    ended = an_experiment(weight=1, revision=2, state="ended")
    route = a_snapshot(TASK, DEPLOYMENT, an_experiment(weight=1), ended).route("log-anomaly", "ada", ADA)
    assert (route.variant_id, route.experiment_id) == (CHAMPION, None)


LOG = (
    an_event(TASK_DEFINED, version=4, title="older"),
    an_event(TASK_DEFINED, version=5, title="newer"),
    an_event(DEPLOYMENT_CHANGED, revision=1, candidates=[]),
    an_event(DEPLOYMENT_CHANGED, revision=2),
    an_experiment(weight=0.1, revision=1),
    an_experiment(weight=0.5, revision=2, epoch=2),
    an_experiment(weight=0.5, revision=3, epoch=2, excluded_units=[ADA]),
    an_experiment(weight=1, experiment_id="exp-0", revision=1),
    an_experiment(weight=1, experiment_id="exp-0", revision=2, state="ended"),
)
SETTLED = (LOG[1], LOG[3], LOG[6], LOG[8])


@given(log=st.permutations(LOG), again=st.lists(st.sampled_from(LOG), max_size=5))
def test_a_replay_of_the_log_in_any_order_and_twice_assigns_everybody_alike(
    log: list[Event], again: list[Event]
) -> None:
    snapshot, settled = a_snapshot(*log, *again), a_snapshot(*SETTLED)
    assert snapshot == settled
    for user in USERS[:20]:
        assert snapshot.route("log-anomaly", user, user) == settled.route("log-anomaly", user, user)


def test_the_same_version_changes_nothing() -> None:
    board = Board()
    assert take_in(board, TASK)
    assert not take_in(board, TASK)


def test_a_name_that_no_id_can_hold_is_refused() -> None:
    deployment = example_payload(DEPLOYMENT_CHANGED)
    champion = deployment["champion"]
    assert isinstance(champion, dict)
    assert isinstance(champion["variant"], dict)
    champion["variant"]["variant_id"] = "v" * 48
    for event in (
        an_event(TASK_DEFINED, task_id="t" * 41),
        an_event(DEPLOYMENT_CHANGED, champion=champion),
        an_experiment(experiment_id="e" * 37),
        an_experiment(further_candidates=[{"variant_id": "v" * 48, "weight_0_1": 0.1}]),
        an_experiment(forced_units={ADA: "v" * 48}),
    ):
        with pytest.raises(InvalidPayload) as refused:
            take_in(Board(), event)
        assert refused.value.code == "router.name-too-long"


def test_an_epoch_that_no_id_can_hold_is_refused() -> None:
    with pytest.raises(InvalidPayload) as refused:
        take_in(Board(), an_experiment(epoch=65_536))
    assert refused.value.code == "router.epoch-too-high"
    take_in(Board(), an_experiment(epoch=65_535))


def test_a_variant_that_is_deployed_no_more_cannot_be_asked_for_by_name() -> None:
    snapshot = a_snapshot(TASK, DEPLOYMENT, an_event(DEPLOYMENT_CHANGED, revision=100, candidates=[]))
    with pytest.raises(NotFound):
        snapshot.route(f"log-anomaly@{CANDIDATE}", "ada", ADA)


def test_only_facts_of_the_snapshot_belong_into_it() -> None:
    with pytest.raises(TypeError):
        take_in(Board(), an_event(INFERENCE_RATED))
