"""Prints how many samples a second one core scores, as a whole and by part: `python services/dataset-svc/bench/quality.py`.

Times are the best of several runs in CPU seconds, after the loops were compiled; texts are made from a seed.
"""
# ruff: noqa: INP001, SIM905, S311 - a script beside the package; texts made from a seed

import random
import sys
import time
from collections.abc import Callable, Sequence

from dataset_svc.domain.quality import measuring
from dataset_svc.domain.quality.measuring import measure
from dataset_svc.domain.quality.profiles import profiles_of
from dataset_svc.domain.quality.scoring import score_samples
from dataset_svc.domain.quality.words import count_words
from dataset_svc.domain.samples import Sample, Turn
from loopwright.contracts.datasets import SampleSource
from loopwright.contracts.tasks import QualityPolicy
from loopwright.toxicity.characters import IMPLAUSIBLE
from loopwright.toxicity.scoring import with_disguised
from loopwright.toxicity.streams import stream_of
from loopwright.toxicity.terms import find_terms

SAMPLES = 4000
RUNS = 7
KOREAN = """모델을 학습시키려면 데이터를 먼저 정리해야 합니다. 로그에서 오류가 발생한 시점을 찾고 원인을 분석하세요. 이 설정은 서버의 메모리
사용량을 줄이는 데 도움이 됩니다. 사용자가 요청하면 결과를 보여 줍니다. 디스크가 가득 차면 오래된 파일을 지우고 서비스를 다시 시작하세요.""".split()
ENGLISH = """The server returned an error because the disk was full and the service could not write its log file to the volume. Please
check the settings and restart the process when there is enough space for the data, or ask the team that owns the node.""".split()


def a_sample(chance: random.Random, place: int) -> Sample:
    """A sample of about 480 characters, 55 % of them Korean."""
    words, size = (KOREAN, 140) if chance.random() < 0.55 else (ENGLISH, 98)
    question, answer = (" ".join(chance.choices(words, k=count)) for count in (size // 4, size - size // 4))
    return Sample(
        sample_id=str(place),
        task_id="bench",
        input=question,
        messages=(Turn("user", question), Turn("assistant", answer)),
        source=SampleSource.UPLOAD,
        inference_id=None,
        rating_ids=(),
        unit_hash=None,
        weight_0_1=1.0,
    )


def best_s(work: Callable[[], object]) -> float:
    """CPU seconds of the best run; the first, which may compile, is not counted."""
    work()
    times: list[float] = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def parts(questions: Sequence[str], answers: Sequence[str]) -> dict[str, Callable[[], object]]:
    texts = [text for pair in zip(questions, answers, strict=True) for text in pair]
    stream = stream_of(texts)
    lists, letters = measuring.word_lists(), measuring.letters()
    _, terms = find_terms(stream, measuring.phrases_and_harms())
    return {
        "code points": lambda: stream_of(texts),
        "words": lambda: count_words(stream, lists, IMPLAUSIBLE),
        "profiles": lambda: profiles_of(stream, letters),
        "terms": lambda: find_terms(stream, measuring.phrases_and_harms()),
        "disguises": lambda: with_disguised(terms, stream),
        "all measures": lambda: measure(questions, answers),
    }


def main() -> None:
    chance = random.Random(17)
    samples = [a_sample(chance, place) for place in range(SAMPLES)]
    questions, answers = [sample.question for sample in samples], [sample.answer for sample in samples]
    chars = sum(map(len, questions)) + sum(map(len, answers))
    work = parts(questions, answers) | {"scores": lambda: score_samples(samples, QualityPolicy())}
    sys.stdout.write(f"{SAMPLES} samples of {chars / SAMPLES:.0f} characters, one core\n")
    for name, run in work.items():
        taken = best_s(run)
        sys.stdout.write(f"{name:>14} {SAMPLES / taken:>12,.0f} samples/s {taken / SAMPLES * 1e6:>7.2f} us/sample\n")


if __name__ == "__main__":
    main()
