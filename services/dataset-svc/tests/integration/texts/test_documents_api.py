"""Documents over HTTP, and samples from them: written by a model, judged, and handed to the build as a request."""

import asyncio
import io
import json
import zipfile

import httpx
import pytest

from loopwright.contracts.base import Artifact
from loopwright.errors import ServingUnavailable

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/admin/training/documents"
SECTIONS = [
    ("설치", "프로그램은 관리자 계정으로 설치하며 설치에는 약 12분이 걸립니다."),
    ("백업", "백업은 매일 02:30에 돌고 사본은 14개까지 보관합니다."),
    ("연락", "장애가 나면 담당자 010-1234-5678 번호로 알립니다."),
]
MANUAL = "\n\n".join(f"# {title}\n\n{text * 4}" for title, text in SECTIONS)
GOOD = {"question": "백업은 언제 도나요?", "answer": "백업은 매일 02:30에 돕니다."}
INVENTED = {"question": "백업은 언제 도나요?", "answer": "백업은 매주 일요일 05:00에 테이프로 돕니다."}
WISH = {"task_id": "service-desk", "pairs": 3, "chunks": {"size": 200, "overlap": 0}}


async def upload(api, headers, content: bytes = MANUAL.encode(), name: str = "manual.md"):
    return await api.post(PREFIX, headers=headers, files={"file": (name, content)})


@pytest.fixture
async def document(api, engineer):
    """Path of an uploaded manual."""
    return (await upload(api, engineer)).headers["location"]


@pytest.fixture
def generate(api, engineer, document):
    async def post(**changes):
        answer = await api.post(f"{document}/generate", headers=engineer, json=WISH | changes)
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    return post


def about(prompt, text):
    return text in prompt


class TestDocuments:
    async def test_a_document_comes_is_seen_and_goes(self, text_world, api, engineer, viewer):
        answer = await upload(api, engineer)
        assert answer.status_code == 201
        path = answer.headers["location"]
        found = (await api.get(path, headers=viewer)).json()
        assert (found["name"], found["title"], found["format"], found["pages"]) == (
            "manual.md",
            "설치",
            "markdown",
            None,
        )
        assert [heading["title"] for heading in found["headings"]] == ["설치", "백업", "연락"]
        [listed] = (await api.get(PREFIX, headers=viewer)).json()["items"]
        assert listed == {name: value for name, value in found.items() if name != "headings"}
        assert (await api.delete(path, headers=viewer)).status_code == 403
        assert (await api.delete(path, headers=engineer)).status_code == 204
        assert await text_world.rows("documents") == []
        assert (await api.get(path, headers=viewer)).json()["code"] == "document.not-found"
        assert (await api.delete(path, headers=engineer)).status_code == 404

    async def test_hostile_files_are_refused_with_the_reason(self, api, engineer):
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as package:
            package.writestr("word/document.xml", b"0" * (101 << 20))
        for content, name, code in (
            (bomb.getvalue(), "a.docx", "document.unpacks-too-large"), (b"%PDF-1.4", "a.pdf", "document.unreadable"),
            (b"\x7fELF\0", "a.txt", "document.format-unknown"), (b"\xff\x80 \x81" * 9, "a.txt", "document.encoding-unknown"),
            (b" ", "a.md", "document.no-text"), (b"x" * ((1 << 20) + 1), "a.txt", "document.too-large"), (b"", "a.txt", "upload.no-file"),
        ):  # fmt: skip
            answer = await upload(api, engineer, content, name)
            assert (answer.status_code, answer.json()["code"]) == (422, code)
            assert answer.headers["content-type"] == "application/problem+json"

    async def test_a_form_without_a_file_is_refused(self, api, engineer):
        for answer in (
            await api.post(PREFIX, headers=engineer, data={"file": "text"}),
            await api.post(PREFIX, headers=engineer, json={}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (422, "upload.no-file")

    async def test_nobody_without_a_token(self, api, viewer):
        for method, path in (
            ("GET", ""),
            ("GET", "/x"),
            ("GET", "/generations"),
            ("POST", ""),
            ("POST", "/x/generate"),
            ("DELETE", "/x"),
        ):
            assert (await api.request(method, PREFIX + path)).status_code == 401
        assert (await api.post(f"{PREFIX}/x/generate", headers=viewer, json=WISH)).status_code == 403

    async def test_chunks_of_a_document_are_found_in_a_knowledge_base_until_it_goes(
        self, text_world, api, engineer, document
    ):
        index = (await api.post("/api/v1/knowledge/indexes", headers=engineer, json={"name": "kb"})).headers["location"]
        body = {
            "document_ids": [document.rpartition("/")[2]],
            "chunks": {"size": 200, "overlap": 0},
            "metadata": {"대분류": "서버"},
        }
        first = (await api.post(f"{index}/documents", headers=engineer, json=body)).json()
        again = (await api.post(f"{index}/documents", headers=engineer, json=body)).json()
        assert (first["version"], again["version"], first["added"]) == (1, 2, again["added"])
        hit = (await api.post(f"{index}/search", headers=engineer, json={"query": "사본은 몇 개를 보관하나요"})).json()[
            "items"
        ][0]
        assert (hit["title"], hit["metadata"], hit["document_id"]) == (
            "백업",
            {"대분류": "서버"},
            body["document_ids"][0],
        )
        assert hit["end"] - hit["start"] == len(hit["text"])
        await api.delete(document, headers=engineer)
        assert await text_world.rows("knowledge_entries") == []


class TestGenerating:
    async def test_good_pairs_become_a_request_with_their_provenance(self, text_world, api, viewer, generate):
        text_world.model.answer = lambda prompt: (
            text_world.model.says(GOOD, INVENTED) if about(prompt, "02:30") else text_world.model.says()
        )
        path = await generate(dataset_name="desk", policy={"min_samples": 1}, pairs=6)
        assert (await api.get(path, headers=viewer)).json()["state"] == "queued"
        assert await text_world.generations.generate_next()
        done = (await api.get(path, headers=viewer)).json()
        assert (done["state"], done["pairs_kept"], done["chunks_done"], done["chunks_total"]) == ("succeeded", 1, 3, 3)
        assert done["refused"] == {"low-score": 1}
        [line] = (await text_world.storage.read_bytes(Artifact.model_validate(done["source"]))).splitlines()
        sample = json.loads(line)
        assert [turn["content"] for turn in sample["messages"]] == [GOOD["question"], GOOD["answer"]]
        assert sample["metadata"]["document_id"] == done["document_id"]
        assert sample["metadata"]["headings"] == "백업"
        [request] = await text_world.rows("requests")
        assert (request.request_id, request.dataset_name, request.task_id, request.state) == (
            done["request_id"], "desk", "service-desk", "pending",
        )  # fmt: skip
        assert request.source["sha256"] == done["source"]["sha256"]
        assert not await text_world.generations.generate_next()

    async def test_personal_data_never_leaves_for_the_model(self, text_world, generate):
        await generate()
        await text_world.generations.generate_next()
        assert len(text_world.model.prompts) == 3
        assert "1234-5678" not in "".join(text_world.model.prompts)

    async def test_nothing_good_enough_is_an_outcome_with_a_reason(self, text_world, api, viewer, generate):
        text_world.model.answer = lambda _: text_world.model.says(INVENTED)
        path = await generate()
        await text_world.generations.generate_next()
        done = (await api.get(path, headers=viewer)).json()
        assert (done["state"], done["source"], done["request_id"]) == ("failed", None, None)
        assert "no pair was good enough" in done["failed_because"]
        assert await text_world.rows("requests") == []

    async def test_like_pairs_of_different_chunks_are_one_sample(self, text_world, api, viewer, generate):
        text_world.model.answer = lambda _: text_world.model.says(GOOD)
        path = await generate(min_score_0_1=0)
        await text_world.generations.generate_next()
        done = (await api.get(path, headers=viewer)).json()
        assert (done["pairs_kept"], done["refused"]) == (1, {"repeated": 2})

    async def test_without_an_endpoint_it_is_refused(self, api, engineer, document, text_world):
        app = api._transport.app
        doorway = app.state.text_doorway
        app.state.text_doorway = type(doorway)(
            work=doorway.work, documents=doorway.documents, analysts=doorway.analysts, pair_model=None
        )
        answer = await api.post(f"{document}/generate", headers=engineer, json=WISH)
        assert (answer.status_code, answer.json()["code"]) == (409, "generation.no-model")

    async def test_wishes_that_do_not_fit(self, api, engineer, document):
        for changes in (
            {"pairs": 0},
            {"pairs": 501},
            {"min_score_0_1": 1.1},
            {"template": "poem"},
            {"task_id": "a b"},
            {"more": 1},
        ):
            answer = await api.post(f"{document}/generate", headers=engineer, json=WISH | changes)
            assert answer.status_code == 422
        answer = await api.post(f"{PREFIX}/x/generate", headers=engineer, json=WISH)
        assert (answer.status_code, answer.json()["code"]) == (404, "document.not-found")


class TestSurviving:
    async def test_chunks_that_are_done_are_never_asked_about_again(self, text_world, api, viewer, generate):
        model = text_world.model
        away = httpx.Response(503)
        model.answer = lambda prompt: away if about(prompt, "12분") else model.says(GOOD)
        path = await generate(min_score_0_1=0)
        with pytest.raises(ServingUnavailable):
            await text_world.generations.generate_next()
        waiting = (await api.get(path, headers=viewer)).json()
        assert (waiting["state"], waiting["chunks_done"]) == ("queued", 2)

        model.prompts.clear()
        model.answer = lambda _: model.says(GOOD)
        assert await text_world.worker().generate_next()
        assert len(model.prompts) == 1
        assert "12분" in model.prompts[0]
        assert (await api.get(path, headers=viewer)).json()["state"] == "succeeded"

    async def test_what_a_dead_worker_left_is_taken_up_when_its_lease_ends(self, text_world, api, viewer, generate):
        stuck = asyncio.Event()
        begun = asyncio.Event()

        async def never(_):
            begun.set()
            await stuck.wait()
            return text_world.model.says(GOOD)

        text_world.model.answer = never
        path = await generate(min_score_0_1=0)
        dead = asyncio.create_task(text_world.generations.generate_next())
        await begun.wait()
        other = text_world.worker()
        assert not await other.generate_next()
        await text_world.execute("UPDATE dataset.generations SET next_attempt_at = now() - interval '1 second'")
        text_world.model.answer = lambda _: text_world.model.says(GOOD)
        assert await other.generate_next()
        stuck.set()
        assert await dead  # it notices that the work is no longer its own
        done = (await api.get(path, headers=viewer)).json()
        assert (done["state"], done["attempts"], done["chunks_done"]) == ("succeeded", 2, 3)
        assert len(await text_world.rows("requests")) == 1

    async def test_an_endpoint_that_says_no_ends_it_after_some_attempts(self, text_world, api, viewer, generate):
        text_world.model.answer = lambda _: httpx.Response(400)
        path = await generate()
        for _ in range(3):
            await text_world.execute("UPDATE dataset.generations SET next_attempt_at = now()")
            await text_world.generations.generate_next()
        done = (await api.get(path, headers=viewer)).json()
        assert (done["state"], done["failed_because"]) == ("failed", "the model's endpoint says no to every chunk")
        assert done["refused"] == {"endpoint": 3}

    async def test_work_that_kills_its_worker_is_given_up(self, text_world, api, viewer, generate):
        path = await generate()
        await text_world.execute(
            "UPDATE dataset.generations SET state = 'running', barren_attempts = 2, next_attempt_at = now()"
        )
        assert not await text_world.worker(attempts=2).generate_next()
        done = (await api.get(path, headers=viewer)).json()
        assert (done["state"], done["failed_because"]) == ("failed", "given up after 2 attempts without progress")

    async def test_a_document_that_goes_takes_its_work_along(self, text_world, api, engineer, generate, document):
        async def deleted(_):
            await api.delete(document, headers=engineer)
            return text_world.model.says(GOOD)

        text_world.model.answer = deleted
        await generate()
        assert await text_world.generations.generate_next()
        assert await text_world.rows("generations") == []
        assert await text_world.rows("requests") == []
