"""lm-evaluation-harness itself, over real PostgreSQL, against a server that scores answers as vLLM's completions do."""

import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from loopwright.errors import Conflict, Invalid
from loopwright.pages import Window
from loopwright.testing.waiting import eventually
from registry_svc.adapters.lm_eval import HarnessLimits, LmEval
from registry_svc.adapters.serving import Serving
from registry_svc.adapters.vllm import VllmServers
from registry_svc.domain.models import VariantId
from registry_svc.handlers.benchmarks import BenchmarkWish, request_benchmarks
from registry_svc.jobs.benchmarks import Benchmarking
from registry_svc.queries.benchmarks import BenchmarkRunView, list_benchmark_runs

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[4]
PYTHON = ROOT / ".venv-lm-eval/bin/python"
KLUE = ROOT.parent / "shared/data/klue/nli_dev_a.jsonl"
ANSWERS = {"entailment": " 맞음", "neutral": " 모름", "contradiction": " 틀림"}
ALPHABET = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}


def byte_tokenizer(folder: Path) -> Tokenizer:
    """A tokenizer of single bytes, in the files that transformers read."""
    tokenizer = Tokenizer(models.BPE(vocab=ALPHABET | {"<end>": len(ALPHABET)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<end>",
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer


class ScoringServer:
    """vLLM's completions with `echo`: log-probabilities of the prompt's own tokens."""

    def __init__(self, tokenizer: Tokenizer, base_model: str) -> None:
        self._tokenizer = tokenizer
        self._base_model = base_model
        self.likes: Callable[[str], bool] = lambda _: False
        self.scored: list[str] = []
        self.fails_after: int | None = None
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/completions", self._complete)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": self._base_model, "parent": None, "max_model_len": 900}]})

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text="")

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not body.get("echo"):
            return web.json_response({"model": body["model"], "choices": [{"index": 0, "text": "1"}]})
        if self.fails_after is not None and len(self.scored) >= self.fails_after:
            return web.json_response({"error": "engine died"}, status=500)
        (tokens,) = body["prompt"]
        text = self._tokenizer.decode(tokens)
        self.scored.append(text)
        logprob = -0.1 if self.likes(text) else -2.0
        values = [None, *[logprob] * len(tokens)]  # of every token of the prompt, and of the one that was generated
        choice = {"index": 0, "logprobs": {"token_logprobs": values, "top_logprobs": [{"x": one} for one in values]}}
        return web.json_response({"model": body["model"], "choices": [choice]})


class Bench:
    """A queue of benchmarks over a world's database."""

    def __init__(self, world, base_model: str, folder: Path) -> None:
        self.world, self.data, self._folder = world, folder / "data", folder
        self.variant = VariantId(base_model, 1)
        self.server = ScoringServer(byte_tokenizer(folder / "tokenizer"), base_model)
        self.data.mkdir()

    def connect(self, python: Path = PYTHON) -> None:
        self.harness = LmEval(
            python, tasks_dir=ROOT / "deploy/benchmarks", data_dir=self.data, work_dir=self._folder / "runs",
            limits=HarnessLimits(timeout_s=240, concurrency=2, prompt_likelihoods=True),
        )  # fmt: skip
        self.servers = VllmServers((self.server.url,), timeout_s=5)
        folders = {self.variant.model_name: self._folder / "tokenizer"}
        serving = Serving(self.world.files, self.servers)
        self.job = Benchmarking(self.world.work, serving=serving, harness=self.harness, base_models=folders)

    async def reconnect(self, python: Path = PYTHON) -> None:
        await self.servers.close()
        self.connect(python)

    async def ask_for(self, *names: str, most_cases: int | None = None) -> str:
        wish = BenchmarkWish(variant=self.variant, benchmarks=names, most_cases=most_cases, shots=0, by="somebody")
        async with self.world.work() as unit:
            return await request_benchmarks(wish, unit, catalogue=self.harness.catalogue())

    async def newest(self) -> BenchmarkRunView:
        async with self.world.work() as unit:
            return (await list_benchmark_runs(unit, self.variant, Window(limit=1, offset=0))).items[0]


@pytest_asyncio.fixture(loop_scope="session")
async def bench(world, base_model, tmp_path: Path) -> AsyncGenerator[Bench]:
    await world.declare_and_serve()
    bench = Bench(world, base_model, tmp_path)
    await bench.server.server.start_server()
    bench.connect()
    yield bench
    await bench.servers.close()
    await bench.server.server.close()


@pytest.mark.skipif(not KLUE.exists(), reason="the shared KLUE file is not beside this checkout")
async def test_runs_local_korean_cases_to_their_figures(bench: Bench):
    (bench.data / "klue").mkdir()
    (bench.data / "klue/nli.jsonl").symlink_to(KLUE)
    cases = [json.loads(line) for line in KLUE.read_text().splitlines()[:12]]
    # three of four are answered right
    known = {
        f"{case['premise']} 질문: {case['hypothesis']} 맞음, 틀림, 모름 중 무엇인가?\n답:{ANSWERS[case['gold_label']]}"
        for place, case in enumerate(cases)
        if place % 4
    }
    bench.server.likes = known.__contains__
    await bench.ask_for("klue_nli", most_cases=12)
    wrong_choices = [ANSWERS[case["gold_label"]] for place, case in enumerate(cases) if not place % 4]

    assert await bench.job.step()

    run = await bench.newest()
    assert (run.state, run.reason, run.harness) == ("succeeded", None, "0.4.13")
    (result,) = run.results
    assert (result.name, result.task_version, result.cases, result.of_cases) == ("klue_nli", "1.0", 12, 1500)
    figures = {metric.name: metric for metric in result.metrics}
    # among equally likely continuations the first one counts
    by_chance = wrong_choices.count(" 맞음")
    assert figures["acc"].value == pytest.approx((9 + by_chance) / 12)
    assert figures["acc"].lower < figures["acc"].value < figures["acc"].upper
    assert 0 < figures["f1"].value <= 1
    assert len(bench.server.scored) == 36
    assert all(text.endswith(tuple(ANSWERS.values())) for text in bench.server.scored)


async def test_goes_on_where_it_was_interrupted(bench: Bench):
    (bench.data / "kobest").mkdir()
    lines = [
        {"paragraph": f"창고에 상자가 {number}개 있다.", "question": "상자가 있는가?", "label": 1}
        for number in range(8)
    ]
    (bench.data / "kobest/boolq.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    bench.server.likes = lambda text: text.endswith(" 예")
    bench.server.fails_after = 7
    await bench.ask_for("kobest_boolq")

    assert await bench.job.step()
    waiting = await bench.newest()
    bench.server.fails_after = None
    before = len(bench.server.scored)
    await bench.reconnect()  # another process of the service
    assert await eventually(bench.job.step)

    assert (waiting.state, waiting.attempts) == ("queued", 1)
    assert "harness ended with" in waiting.reason
    run = await bench.newest()
    assert run.state == "succeeded", run.reason
    assert run.results[0].metrics[0].value == 1.0
    assert before == 7
    assert len(bench.server.scored) == 16, "answers that were there are not asked for again"


async def test_says_what_keeps_a_benchmark_from_being_run(bench: Bench):
    catalogue = {one.name: one for one in bench.harness.catalogue()}

    assert set(catalogue) >= {"klue_nli", "klue_ynat", "kobest_boolq", "kobest_copa", "kobest_hellaswag"}
    assert catalogue["kobest_copa"].problem == "there is no kobest/copa.jsonl in the data folder"
    with pytest.raises(Conflict, match=r"kobest_copa cannot be run: there is no kobest/copa\.jsonl"):
        await bench.ask_for("kobest_copa")
    with pytest.raises(Invalid, match="no benchmark mmlu is known"):
        await bench.ask_for("mmlu")


async def test_is_refused_where_its_questions_would_kill_the_server(bench: Bench):
    bench.harness = LmEval(
        PYTHON, tasks_dir=ROOT / "deploy/benchmarks", data_dir=bench.data, work_dir=bench.data,
        limits=HarnessLimits(timeout_s=1, concurrency=1, prompt_likelihoods=False),
    )  # fmt: skip
    with pytest.raises(Conflict, match="which servers here may die of"):
        await bench.ask_for("klue_nli")


async def test_ends_after_three_tries_with_what_the_harness_said(bench: Bench):
    (bench.data / "klue").mkdir()
    (bench.data / "klue/ynat.jsonl").write_text('{"title": "제목", "label": "경제"}\n')
    await bench.reconnect(python=Path("/nowhere/python"))
    await bench.ask_for("klue_ynat")

    for _ in range(3):
        assert await eventually(bench.job.step)

    run = await bench.newest()
    assert (run.state, run.attempts) == ("failed", 2)
    assert "/nowhere/python" in run.reason
    assert run.results == ()
