"""The HTTP door of studies: who may do what, what is refused and why, what readers see."""

import httpx
import pytest
from pydantic import JsonValue
from study_world import BOWL, EPOCHS, STUDY, Players, begin, play, study
from trainer_world import BASE, World, a_task, a_version

from loopwright.contracts.base import RunState
from loopwright.contracts.registry import DATASET_DEPRECATED
from loopwright.testing.examples import an_event
from loopwright.testing.tokens import TokenMint
from trainer_svc.handlers.studies import stop_study

STUDIES = "/api/v1/admin/finetuning/studies"


def a_body(**changes: JsonValue) -> dict[str, JsonValue]:
    standard: dict[str, JsonValue] = {"name": "rates", "base_model": BASE, "dataset_id": "dsv-1", "space": BOWL}
    return standard | changes


async def known_data(world: World, **changes: JsonValue) -> None:
    await world.hand(a_task(training={"auto": False}), a_version(**changes))


class TestDoor:
    async def test_reading_needs_the_role_viewer_and_changing_engineer(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await begin(world)
        for path in ("", f"/{STUDY}"):
            assert (await api.get(STUDIES + path)).status_code == 401
            assert (await api.get(STUDIES + path, headers=mint.header("viewer"))).status_code == 200
        for path in ("", f"/{STUDY}/stop", f"/{STUDY}/resume", f"/{STUDY}/promote"):
            answer = await api.post(STUDIES + path, json=a_body(), headers=mint.header("viewer"))
            assert answer.status_code == 403
        assert (await study(world)).state is RunState.RUNNING

    async def test_a_study_is_asked_for_watched_stopped_resumed_and_promoted(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await known_data(world)
        engineer = mint.header("engineer")
        body = a_body(terms={"max_trials": 5, "startup_trials": 2}, hyperparameters={"num_epochs": EPOCHS})
        begun = await api.post(STUDIES, json=body, headers=engineer)
        assert (begun.status_code, begun.json()["state"], begun.json()["created_by"]) == (202, "running", "somebody")
        place = begun.headers["Location"]

        refused = await api.post(f"{place}/promote", headers=engineer)
        assert (refused.status_code, refused.json()["code"]) == (409, "study.nothing-finished")
        assert (await api.post(f"{place}/resume", headers=engineer)).json()["code"] == "study.running"
        await play(world, Players(world))

        seen = (await api.get(place, headers=engineer)).json()
        assert (seen["state"], len(seen["trials"])) == ("succeeded", 5)
        ended = [trial for trial in seen["trials"] if trial["state"] == "succeeded"]
        assert seen["best"] == min(ended, key=lambda trial: trial["value"])
        assert set(seen["importance_0_1"]) in ({"learning_rate", "lora_rank"}, set())
        assert (await api.post(f"{place}/stop", headers=engineer)).json()["code"] == "study.ended"
        assert (await api.post(f"{place}/resume", headers=engineer)).json()["code"] == "study.no-trials-left"

        promoted = await api.post(f"{place}/promote", headers=engineer)
        assert promoted.status_code == 202
        assert promoted.json()["hyperparameters"]["learning_rate"] == seen["best"]["settings"]["learning_rate"]
        assert (await api.get(promoted.headers["Location"], headers=engineer)).json()["state"] == "queued"
        assert (await api.post(f"{place}/promote", headers=engineer)).json()["code"] == "study.promoted"

        resumed = await api.post(f"{place}/resume", json={"max_trials": 9}, headers=engineer)
        assert (resumed.json()["state"], resumed.json()["terms"]["max_trials"]) == ("running", 9)
        stopped = await api.post(f"{place}/stop", headers=engineer)
        assert (stopped.status_code, stopped.json()["state"]) == (202, "stopped")

    async def test_lists_the_newest_first_and_by_state(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        for number in (1, 2, 3):
            await begin(world, study_id=f"study-{number}")
        async with world.work() as unit:
            await stop_study(unit, "study-2")
        viewer = mint.header("viewer")
        page = (await api.get(STUDIES, params={"limit": 2}, headers=viewer)).json()
        assert ([one["study_id"] for one in page["items"]], page["total"]) == (["study-3", "study-2"], 3)
        stopped = (await api.get(STUDIES, params={"state": "stopped"}, headers=viewer)).json()
        assert [one["study_id"] for one in stopped["items"]] == ["study-2"]

    @pytest.mark.parametrize(
        ("changes", "status", "code"),
        [
            ({"dataset_id": "unheard-of"}, 404, "job.dataset-not-found"),
            ({"base_model": "huge"}, 422, "job.cannot-run"),
            ({"objective": "distill"}, 422, "job.cannot-run"),
            ({"space": {}}, 422, "request.malformed"),
            ({"space": {"learning_rate": {"low": 1}}}, 422, "request.malformed"),
            ({"space": {"learning_rate": {"low": "0\0", "high": 1}}}, 422, "request.malformed"),
            ({"space": {"lerning_rate": {"low": 0.1, "high": 1}}}, 422, "study.parameter-unknown"),
            ({"space": {"seed": {"low": 1, "high": 5}}}, 422, "study.parameter-not-searched"),
            ({"space": {"lora_rank": {"low": 0, "high": 5}}}, 422, "study.value-invalid"),
            ({"space": {"lora_rank": {"low": 5, "high": 5}}}, 422, "study.range-invalid"),
            ({"terms": {"sampler": "grid"}}, 422, "study.grid-needs-steps"),
            ({"terms": {"parallel_trials": 0}}, 422, "request.malformed"),
            ({"surprise": 1}, 422, "request.malformed"),
            ({"name": "a\0b"}, 422, "request.malformed"),
        ],
    )
    async def test_what_cannot_be_searched_is_refused_and_leaves_nothing(
        self,
        api: httpx.AsyncClient,
        mint: TokenMint,
        world: World,
        changes: dict[str, JsonValue],
        status: int,
        code: str,
    ) -> None:
        await known_data(world)
        answer = await api.post(STUDIES, json=a_body(**changes), headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert await world.table("studies") == await world.table("jobs") == []

    async def test_data_without_a_validation_split_or_deprecated_is_refused(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        empty = a_version().validation.model_copy(update={"samples": 0}).model_dump(mode="json")
        await known_data(world, validation=empty)
        answer = await api.post(STUDIES, json=a_body(), headers=mint.header("engineer"))
        assert answer.json()["code"] == "study.no-validation-data"

        await world.hand(a_version(2), an_event(DATASET_DEPRECATED, version_id="dsv-2"))
        answer = await api.post(STUDIES, json=a_body(dataset_id="dsv-2"), headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["code"]) == (409, "job.data-deprecated")

    @pytest.mark.parametrize("path", ["", "/stop", "/resume", "/promote"])
    async def test_of_an_unknown_study_is_not_found(self, api: httpx.AsyncClient, mint: TokenMint, path: str) -> None:
        ask = api.post if path else api.get
        answer = await ask(f"{STUDIES}/study-0{path}", headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["code"]) == (404, "study.not-found")
