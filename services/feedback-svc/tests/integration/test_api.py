"""The HTTP door: who may pass, what it shows, what it changes."""

import httpx
import pytest
from feedback_world import (
    BASE,
    CANDIDATE,
    TASK,
    World,
    a_deployment,
    a_rating,
    a_task,
    an_evaluation,
    an_inference,
    rated,
)

from loopwright.contracts.experiments import ExperimentConcluded, Outcome
from loopwright.contracts.registry import EXPERIMENT_CHANGED, EXPERIMENT_CONCLUDED, FEEDBACK_RECEIVED, LOG_RECEIVED
from loopwright.testing.examples import an_event
from loopwright.testing.tokens import TokenMint

TESTS = "/api/v1/admin/ab-tests"
VIEWERS = (
    TESTS, f"{TESTS}/exp-1", f"{TESTS}/exp-1/results", f"/api/v1/learn/status?task_id={TASK}", "/api/v1/exports", "/api/v1/feedback/inferences",
    "/api/v1/feedback/inferences/inf-1", "/api/v1/feedback/ratings", "/api/v1/feedback/ratings/r1",
    "/api/v1/feedback/records", "/api/v1/feedback/records/counts",
)  # fmt: skip
CHANGES = (
    (TESTS, "engineer", {"experiment_name": "n", "task_id": TASK, "candidate_variant_id": CANDIDATE}),
    (f"{TESTS}/exp-1/start", "engineer", None),
    (f"{TESTS}/exp-1/ramp", "engineer", {"candidate_share_0_1": 0.5}),
    (f"{TESTS}/exp-1/stop", "engineer", None),
    (f"{TESTS}/exp-1/conclude", "admin", {"winner_variant_id": CANDIDATE}),
)
WEAKER = {"engineer": "viewer", "admin": "engineer"}


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


class TestWhoMayPass:
    @pytest.mark.parametrize("path", VIEWERS)
    async def test_refuses_readers_it_cannot_trust(self, api: httpx.AsyncClient, mint: TokenMint, path: str) -> None:
        forged = TokenMint().token("admin")
        assert_problem(await api.get(path), 401, "auth.token-missing")
        for token, code in (
            (mint.token("viewer", ttl_s=-60), "auth.token-expired"), (forged, "auth.token-invalid"),
        ):  # fmt: skip
            response = await api.get(path, headers={"Authorization": f"Bearer {token}"})
            assert_problem(response, 401, code)
        assert_problem(await api.get(path, headers=mint.header("visitor")), 403, "auth.no-role")
        assert (await api.get(path, headers=mint.header("viewer"))).status_code in {200, 404}

    @pytest.mark.parametrize(("path", "role", "body"), CHANGES)
    async def test_refuses_changes_by_a_role_that_is_too_weak(
        self, api: httpx.AsyncClient, mint: TokenMint, path: str, role: str, body: dict[str, str] | None
    ) -> None:
        assert_problem(await api.post(path, json=body), 401, "auth.token-missing")
        expired = {"Authorization": f"Bearer {mint.token(role, ttl_s=-60)}"}
        assert_problem(await api.post(path, json=body, headers=expired), 401, "auth.token-expired")
        forged = TokenMint().header(role)
        assert_problem(await api.post(path, json=body, headers=forged), 401, "auth.token-invalid")
        weak = mint.header(WEAKER[role])
        assert_problem(await api.post(path, json=body, headers=weak), 403, "auth.role-too-weak")
        strong = await api.post(path, json=body, headers=mint.header(role))
        assert_problem(strong, 404, "task.not-found" if path == TESTS else "experiment.not-found")


@pytest.fixture
def viewer(api: httpx.AsyncClient, mint: TokenMint) -> httpx.AsyncClient:
    api.headers.update(mint.header("viewer"))
    return api


class TestFeedback:
    async def test_shows_inferences_with_what_was_said_and_learned(
        self, world: World, viewer: httpx.AsyncClient
    ) -> None:
        await world.hand(a_task(), an_inference(1), an_inference(2), a_rating(1, 5, rating_id="r1", comment="good"))
        page = (await viewer.get("/api/v1/feedback/inferences", params={"task_id": TASK, "limit": 1})).json()
        assert (page["total"], page["limit"], page["offset"], len(page["items"])) == (2, 1, 0, 1)
        rated_only = (await viewer.get("/api/v1/feedback/inferences", params={"rated": True})).json()
        assert [item["inference_id"] for item in rated_only["items"]] == ["inf-1"]

        one = (await viewer.get("/api/v1/feedback/inferences/inf-1")).json()
        assert (one["task_id"], one["served_variant_id"], one["input"], one["answer"]) == (
            TASK, BASE, "line 1", "answer 1",
        )  # fmt: skip
        assert [(rating["rating_id"], rating["counts"]) for rating in one["ratings"]] == [("r1", True)]
        assert [sample["rating_ids"] for sample in one["samples"]] == [["r1"]]
        assert_problem(await viewer.get("/api/v1/feedback/inferences/inf-9"), 404, "inference.not-found")
        assert_problem(await viewer.get("/api/v1/feedback/inferences/%00"), 422, "request.malformed")

    async def test_shows_ratings(self, world: World, viewer: httpx.AsyncClient) -> None:
        await world.hand(a_task(), a_rating(1, 1, rating_id="r1", comment="bad", correction="better"))
        await world.hand(a_rating(2, 4, rating_id="r2", minute=3))
        one = (await viewer.get("/api/v1/feedback/ratings/r1")).json()
        assert (one["metric"], one["value"], one["comment"], one["correction"], one["rated_at"]) == (
            "stars", 1.0, "bad", "better", "2026-11-21T12:01:00Z",
        )  # fmt: skip
        page = (await viewer.get("/api/v1/feedback/ratings")).json()
        assert [item["rating_id"] for item in page["items"]] == ["r2", "r1"]
        assert_problem(await viewer.get("/api/v1/feedback/ratings/r9"), 404, "rating.not-found")

    async def test_shows_and_counts_upstream_records(self, world: World, viewer: httpx.AsyncClient) -> None:
        await world.hand(an_event(LOG_RECEIVED), an_event(FEEDBACK_RECEIVED), an_event(FEEDBACK_RECEIVED))
        counts = (await viewer.get("/api/v1/feedback/records/counts")).json()
        assert counts == [
            {"origin": "feedback", "kind": "service-desk.resolved", "items": 1, "records": 1},
            {"origin": "log", "kind": "application", "items": 1, "records": 2},
        ]
        page = (await viewer.get("/api/v1/feedback/records", params={"origin": "feedback"})).json()
        assert [(item["deliveries"], item["content"]["category"]) for item in page["items"]] == [(2, "네트워크")]


class TestLearning:
    async def test_says_what_was_learned_and_whether_it_is_enough(
        self, world: World, viewer: httpx.AsyncClient
    ) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 3}))
        for number in range(1, 6):
            correction = "better" if number % 2 else None
            await world.hand(an_inference(number), a_rating(number, 1 if correction else 5, correction=correction))
        await world.exporter.export_next()
        status = (await viewer.get("/api/v1/learn/status", params={"task_id": TASK})).json()
        assert status["base_model"] == "smollm2-135m-instruct"
        assert status["samples"] == [
            {"source": "correction", "ready": 1, "exported": 2, "quarantined": 0, "withdrawn": 0},
            {"source": "rating", "ready": 1, "exported": 1, "quarantined": 0, "withdrawn": 0},
        ]
        assert (status["new_samples"], status["min_new_samples"], status["ready"]) == (2, 3, False)
        assert (status["last_run"]["state"], status["last_run"]["sample_count"]) == ("announced", 3)

        exports = (await viewer.get("/api/v1/exports", params={"task_id": TASK})).json()
        assert exports["total"] == 1
        assert exports["items"][0]["source"]["uri"].endswith(".jsonl")
        assert_problem(await viewer.get("/api/v1/learn/status", params={"task_id": "none"}), 404, "task.not-found")


class TestExperiments:
    async def test_shows_results_per_arm_with_the_interval(self, world: World, viewer: httpx.AsyncClient) -> None:
        experiment_id = await world.start_experiment(min_users_per_arm=50)
        for unit in range(3):
            await world.hand(
                rated(experiment_id, BASE, unit, 1 + unit), rated(experiment_id, CANDIDATE, unit, 3 + unit)
            )
        page = (await viewer.get(TESTS, params={"task_id": TASK, "state": "running"})).json()
        assert [item["experiment_id"] for item in page["items"]] == [experiment_id]

        results = (await viewer.get(f"{TESTS}/{experiment_id}/results")).json()
        detail = (await viewer.get(f"{TESTS}/{experiment_id}")).json()
        assert detail["results"] == results
        champion, candidate = results["variants"]
        assert (champion["variant_id"], champion["users"], champion["mean"], champion["variance"]) == (BASE, 3, 2, 1)
        assert (candidate["variant_id"], candidate["users"], candidate["mean"], candidate["units"]) == (
            CANDIDATE, 3, 4, 3,
        )  # fmt: skip
        assert (champion["samples"], champion["significant"]) == (3, False)
        (comparison,) = results["comparisons"]
        interval = comparison["interval"]
        assert interval["lower"] < interval["effect"] == 2 < interval["upper"]
        assert comparison["welch"]["p"] == pytest.approx(0.07048399)
        assert (comparison["mann_whitney"]["statistic"], results["sample_ratio_p"]) == (8.5, 1.0)
        assert results["sentence"].startswith("After 6 users, the difference that mood:1 makes lies between")
        assert [change["to_state"] for change in detail["changes"]] == ["draft", "running"]
        assert detail["rollout"]["min_users_per_arm"] == 50

    async def test_an_engineer_tries_a_deployed_candidate(
        self, world: World, api: httpx.AsyncClient, mint: TokenMint
    ) -> None:
        await world.hand(a_task(), a_deployment(1, BASE, CANDIDATE, minute=0))
        body = {"experiment_name": "by hand", "task_id": TASK, "candidate_variant_id": CANDIDATE}
        engineer = mint.header("engineer")
        made = await api.post(TESTS, json=body | {"candidate_share_0_1": 0.1}, headers=engineer)
        assert made.status_code == 201
        assert (made.json()["state"], made.json()["created_by"]) == ("running", "somebody")
        (event,) = await world.announced(EXPERIMENT_CHANGED)
        assert event.model_dump()["candidate"] == {"variant_id": CANDIDATE, "weight_0_1": 0.1}

        assert_problem(await api.post(TESTS, json=body, headers=engineer), 409, "experiment.candidate-on-trial")
        other = body | {"candidate_variant_id": "mood:9"}
        assert_problem(await api.post(TESTS, json=other, headers=engineer), 409, "experiment.candidate-not-deployed")
        assert_problem(await api.post(TESTS, json=body | {"more": 1}, headers=engineer), 422, "request.malformed")

    async def test_takes_an_ab_test_in_the_words_of_its_users(
        self, world: World, api: httpx.AsyncClient, mint: TokenMint
    ) -> None:
        await world.hand(a_task(), a_deployment(1, BASE, CANDIDATE, minute=0))
        body = {
            "experiment_name": "v2 against v1", "model_a_id": BASE, "model_b_id": CANDIDATE,
            "traffic_split": {"a": 80, "b": 20}, "target_samples": 200, "duration": "P7D",
            "success_metric": "user_rating",
        }  # fmt: skip
        engineer = mint.header("engineer")
        made = (await api.post(TESTS, json=body, headers=engineer)).json()
        assert (made["task_id"], made["state"], made["candidate_share_0_1"]) == (TASK, "running", pytest.approx(0.2))
        policy = made["rollout"]
        assert (policy["planned_users"], policy["max_users"], policy["max_run_s"]) == (200, 400, 604_800)
        planning = made["planning"]
        assert planning["power"] < 0.5
        assert "200 users find a difference of 0.3" in planning["warning"]

        other = body | {"model_a_id": CANDIDATE, "model_b_id": BASE}
        assert_problem(await api.post(TESTS, json=other, headers=engineer), 409, "experiment.candidate-not-deployed")
        strange = body | {"success_metric": "speed", "task_id": TASK}
        assert_problem(await api.post(TESTS, json=strange, headers=engineer), 422, "experiment.unknown-metric")

    async def test_a_draft_waits_for_a_person_and_a_ramp_takes_the_revision_that_was_seen(
        self, world: World, api: httpx.AsyncClient, mint: TokenMint
    ) -> None:
        await world.hand(a_task(), a_deployment(1, BASE, CANDIDATE, minute=0))
        body = {"experiment_name": "by hand", "task_id": TASK, "candidate_variant_id": CANDIDATE, "start": False,
                "candidate_share_0_1": 0.1}  # fmt: skip
        engineer = mint.header("engineer")
        made = (await api.post(TESTS, json=body, headers=engineer)).json()
        place = f"{TESTS}/{made['experiment_id']}"
        assert (made["state"], made["revision"]) == ("draft", 0)
        larger = {"candidate_share_0_1": 0.5}
        assert_problem(await api.post(f"{place}/ramp", json=larger, headers=engineer), 409, "experiment.not-running")
        started = (await api.post(f"{place}/start", headers=engineer)).json()
        assert (started["state"], started["revision"], started["epoch"]) == ("running", 1, 1)
        assert_problem(await api.post(f"{place}/start", headers=engineer), 409, "experiment.not-a-draft")

        ramped = await api.post(f"{place}/ramp?revision=1", json=larger, headers=engineer)
        assert (ramped.json()["revision"], ramped.json()["epoch"], ramped.json()["weights_0_1"]) == (2, 2, [0.5, 0.5])
        late = await api.post(f"{place}/ramp?revision=1", json={"candidate_share_0_1": 0.9}, headers=engineer)
        assert_problem(late, 409, "experiment.changed-meanwhile")
        smaller = await api.post(f"{place}/ramp", json={"candidate_share_0_1": 0.3}, headers=engineer)
        assert_problem(smaller, 422, "experiment.share-not-larger")

    async def test_reckons_what_users_can_find(self, world: World, viewer: httpx.AsyncClient) -> None:
        asked = {"users": 200, "effect": 0.3, "std_dev": 1.31, "icc": 1.0}
        answer = (await viewer.post(f"{TESTS}/power", json=asked)).json()
        assert (answer["users_needed"], answer["underpowered"]) == (599, True)
        assert answer["power"] == pytest.approx(0.367, abs=0.002)
        await world.hand(a_task(), *(a_rating(number, 1 + number % 5) for number in range(25)))
        observed = (await viewer.post(f"{TESTS}/power", json={"task_id": TASK})).json()
        assert observed["observed"] is True
        assert observed["std_dev"] == pytest.approx(1.4434, abs=1e-4)

    @pytest.mark.parametrize("share", [0, 1])
    async def test_refuses_an_empty_arm(
        self, world: World, api: httpx.AsyncClient, mint: TokenMint, share: float
    ) -> None:
        await world.hand(a_task(), a_deployment(1, BASE, CANDIDATE, minute=0))
        body = {
            "experiment_name": "n",
            "task_id": TASK,
            "candidate_variant_id": CANDIDATE,
            "candidate_share_0_1": share,
        }
        response = await api.post(TESTS, json=body, headers=mint.header("engineer"))
        assert_problem(response, 422, "experiment.share-out-of-range")
        assert await world.table("experiments") == []

    async def test_stops_without_a_winner_once(self, world: World, api: httpx.AsyncClient, mint: TokenMint) -> None:
        experiment_id = await world.start_experiment()
        await world.hand(rated(experiment_id, BASE, 1, 5))
        stopped = await api.post(f"{TESTS}/{experiment_id}/stop", headers=mint.header("engineer"))
        assert (stopped.status_code, stopped.json()["verdict"], stopped.json()["winner_variant_id"]) == (
            200, "stopped", None,
        )  # fmt: skip
        again = await api.post(f"{TESTS}/{experiment_id}/stop", headers=mint.header("engineer"))
        assert_problem(again, 409, "experiment.already-ended")
        (event,) = await world.announced(EXPERIMENT_CONCLUDED)
        assert isinstance(event, ExperimentConcluded)
        assert (event.outcome, event.concluded_by, event.evidence.champion.users) == (Outcome.STOPPED, "somebody", 1)

    @pytest.mark.parametrize(("winner", "outcome"), [(CANDIDATE, "promote"), (BASE, "rollback")])
    async def test_an_admin_names_the_winner(
        self, world: World, api: httpx.AsyncClient, mint: TokenMint, winner: str, outcome: str
    ) -> None:
        experiment_id = await world.start_experiment()
        path, admin = f"{TESTS}/{experiment_id}/conclude", mint.header("admin")
        unknown = await api.post(path, json={"winner_variant_id": "mood:9"}, headers=admin)
        assert_problem(unknown, 422, "experiment.unknown-winner")
        concluded = await api.post(path, json={"winner_variant_id": winner}, headers=admin)
        assert (concluded.json()["verdict"], concluded.json()["winner_variant_id"]) == (outcome, winner)
        (event,) = await world.announced(EXPERIMENT_CONCLUDED)
        assert isinstance(event, ExperimentConcluded)
        assert event.winner_variant_id == winner

    async def test_a_stopped_experiment_lets_the_next_one_start(
        self, world: World, api: httpx.AsyncClient, mint: TokenMint
    ) -> None:
        first = await world.start_experiment()
        await world.hand(an_evaluation(2, candidate="mood:2"))
        await api.post(f"{TESTS}/{first}/stop", headers=mint.header("engineer"))
        states = {row["candidate_variant_id"]: row["state"] for row in await world.table("experiments")}
        assert states == {CANDIDATE: "stopped", "mood:2": "running"}
