"""What of a served version is known beyond its gate: public benchmarks by lm-eval and perplexity, on the real vLLM."""

import json

import httpx
import pytest

from loopwright.testing.waiting import eventually
from loopwright_local.stack import LocalStack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

TASK = "log-anomaly"
QUESTIONS = (
    ("창고에 상자가 세 개 있다. 하나는 비어 있다.", "비어 있는 상자가 있는가?", 1),
    ("서버는 어제 밤에 다시 시작되었다.", "서버는 오늘 다시 시작되었는가?", 0),
    ("회의는 세 시에 시작하여 네 시에 끝났다.", "회의는 한 시간 걸렸는가?", 1),
    ("디스크의 남은 용량은 팔십 퍼센트이다.", "디스크가 가득 찼는가?", 0),
)


def _registry(stack: LocalStack) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {stack.token('engineer')}"}
    return httpx.AsyncClient(base_url=f"{stack.urls.registry}/api/v1/admin/", headers=headers, timeout=30)


async def _in_charge(registry: httpx.AsyncClient) -> str:
    """Path of the version that answers the task."""

    async def served() -> list[str]:
        deployments = (await registry.get("deployments")).raise_for_status().json()["items"]
        return [one["champion"] for one in deployments if one["task_id"] == TASK]

    (champion,) = await eventually(served, every_s=0.5)
    name, _, version = champion.rpartition(":")
    return f"models/{name}/versions/{version}"


async def test_a_public_benchmark_runs_on_the_server_that_users_have(stack: LocalStack) -> None:
    lines = [json.dumps({"paragraph": text, "question": asked, "label": label}) for text, asked, label in QUESTIONS]
    data = stack.settings.dir / "benchmark-data/kobest"
    data.mkdir(parents=True, exist_ok=True)
    (data / "boolq.jsonl").write_text("\n".join(lines))
    async with _registry(stack) as registry:
        asked = await registry.post(f"{await _in_charge(registry)}/benchmarks", json={"benchmarks": ["kobest_boolq"]})
        run_id = asked.raise_for_status().json()["run_id"]

        async def ended() -> dict[str, object] | None:
            run = (await registry.get(f"benchmarks/runs/{run_id}")).json()
            return run if run["state"] in {"succeeded", "failed"} else None

        run = await eventually(ended, timeout_s=600, every_s=1)

    assert run["state"] == "succeeded", run["reason"]
    (result,) = run["results"]
    assert (result["name"], result["cases"]) == ("kobest_boolq", len(QUESTIONS))
    figures = {metric["name"]: metric["value"] for metric in result["metrics"]}
    # halves and quarters of four cases
    assert figures["acc"] in {0, 0.25, 0.5, 0.75, 1}


async def test_perplexity_of_the_expected_answers_is_measured_through_the_router(stack: LocalStack) -> None:
    cases = [
        {"input": "node 7: 12 correctable memory errors", "expected": {"anomaly_status": "alert"}},
        {"input": "node 7: session opened for user build", "expected": {"anomaly_status": "normal"}},
    ]
    async with _registry(stack) as registry:
        suite = await registry.post("suites", json={"name": "two-lines", "task_id": TASK, "cases": cases})
        suite_id = suite.raise_for_status().json()["suite_id"]
        wish = {"task_id": TASK, "suite_id": suite_id, "extras": ["perplexity"]}
        asked = await registry.post(f"{await _in_charge(registry)}/evaluate", json=wish)
        evaluation_id = asked.raise_for_status().json()["evaluation_id"]

        async def finished() -> dict[str, object] | None:
            evaluation = (await registry.get(f"evaluations/{evaluation_id}")).json()
            return evaluation if evaluation["finished_at"] else None

        evaluation = await eventually(finished, timeout_s=300, every_s=0.5)

    figures = {metric["name"]: metric for metric in evaluation["metrics"]["candidate"]}
    assert figures["perplexity"]["value"] is not None, figures["perplexity"]["why_not"]
    assert 1 < figures["perplexity"]["value"] < 1e4
