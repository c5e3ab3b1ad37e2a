"""The processes that read documents and Korean: what goes wrong inside stays inside."""

import asyncio
import time

import pytest

from dataset_svc.adapters.document_process import ReadingLimits
from dataset_svc.adapters.document_texts import DocumentTexts
from dataset_svc.adapters.limited_process import ProcessEnded, ask_once, start
from dataset_svc.adapters.morphology import Morphology
from loopwright.errors import Invalid, ServingUnavailable

pytestmark = pytest.mark.integration


class TestReadingDocuments:
    async def test_gives_the_text_of_a_document(self):
        found = await DocumentTexts().read("# 제목\n\n본문입니다.".encode(), name="안내.md")
        assert (found.format, found.document.title, found.document.text) == ("markdown", "제목", "제목\n\n본문입니다.")

    async def test_says_why_there_is_none(self):
        with pytest.raises(Invalid) as refused:
            await DocumentTexts().read(b"%PDF-1.4 nothing", name="x.pdf")
        assert refused.value.code == "document.unreadable"

    async def test_a_document_that_takes_too_long_is_given_up(self):
        slow = ("가 나 다 라 " * 3_000_000).encode()
        begun = time.monotonic()
        with pytest.raises(Invalid) as refused:
            await DocumentTexts(ReadingLimits(timeout_s=1)).read(slow, name="x.txt")
        assert refused.value.code == "document.too-costly"
        assert time.monotonic() - begun < 20

    async def test_a_document_that_takes_too_much_memory_is_given_up(self):
        with pytest.raises(Invalid) as refused:
            await DocumentTexts(ReadingLimits(memory_bytes=200 << 20)).read(b"x " * (100 << 20), name="x.txt")
        assert refused.value.code == "document.too-costly"

    async def test_the_service_answers_while_a_document_is_read(self):
        reading = asyncio.create_task(DocumentTexts().read(b"Words. " * 100_000, name="x.txt"))
        longest = 0.0
        while not reading.done():
            begun = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - begun)
        await reading
        assert longest < 1.0


class TestOwnProcess:
    async def test_knows_nothing_of_this_ones_environment(self, monkeypatch):
        monkeypatch.setenv("LOOPWRIGHT_SECRET", "s3cret")
        process = await start("this.module.is.not.there")
        with pytest.raises(ProcessEnded):
            await ask_once(process, b"", timeout_s=30, max_answer_bytes=1000)
        process = await start("platform")  # any module that prints
        assert b"s3cret" not in await ask_once(process, b"", timeout_s=30, max_answer_bytes=10_000)

    async def test_may_not_say_more_than_allowed(self):
        with pytest.raises(ProcessEnded):
            await ask_once(await start("platform"), b"", timeout_s=30, max_answer_bytes=3)


class TestMorphology:
    async def test_particles_and_endings_make_no_difference(self, analysts):
        first, second = await analysts.morphology.terms(["프린터에 용지가 걸렸습니다", "프린터 용지 걸림"])
        assert {"프린터", "용지", "걸리"} <= set(first)
        assert {"프린터", "용지"} <= set(second)

    async def test_english_never_wakes_the_analyser(self):
        morphology = Morphology()
        assert await morphology.terms(["Servers restarted", ""]) == (("server", "restart"), ())
        assert not morphology.awake

    async def test_any_text_is_survived(self, analysts):
        hostile = ["가" * 20_000, "ㄱㄴㄷ\x00\x1f가\n\n", "가\u202e나\U0001f600", "힣" + "'\\" * 1000]
        assert len(await analysts.morphology.terms(hostile)) == 4

    async def test_one_that_died_is_replaced(self):
        morphology = Morphology()
        await morphology.terms(["서버"])
        assert morphology._process is not None
        morphology._process.kill()
        await morphology._process.wait()
        with pytest.raises(ServingUnavailable):
            await morphology.terms(["서버"])
        assert await morphology.terms(["서버가"]) == (("서버",),)
        await morphology.close()

    async def test_one_that_takes_too_long_is_given_up_and_an_idle_one_goes(self):
        hurried = Morphology(timeout_s=0.01)
        with pytest.raises(ServingUnavailable):
            await hurried.terms(["서버"])
        assert not hurried.awake
        resting = Morphology(idle_s=0.05)
        await resting.terms(["서버"])
        assert resting.awake
        retirement = resting._retirement
        assert retirement is not None
        await retirement
        assert not resting.awake
