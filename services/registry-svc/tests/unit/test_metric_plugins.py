"""Metrics from an operator's folder: what they get, and what becomes of those that fail."""

import threading
from pathlib import Path

import pytest

from registry_svc.adapters import metric_plugins
from registry_svc.adapters.metric_plugins import CustomMetric, load_metrics
from registry_svc.domain.scoring import HeldOutCase

CASE = HeldOutCase(number=1, sample_id="s1", input="question", expected="short answer")


def loaded(folder: Path, **files: str) -> dict[str, CustomMetric]:
    for name, content in files.items():
        (folder / f"{name}.py").write_text(content)
    return {metric.name: metric for metric in load_metrics(folder)}


class TestCustomMetrics:
    async def test_a_file_is_a_metric_of_answer_expected_and_case(self, tmp_path: Path):
        body = (
            "def score(answer, expected, case):\n    return len(answer) / len(expected) + (case.input == 'question')\n"
        )
        metrics = loaded(tmp_path, brevity=body)
        assert list(metrics) == ["custom.brevity"]
        assert await metrics["custom.brevity"].score("answer", CASE) == pytest.approx(1.5)

    @pytest.mark.parametrize(
        "body",
        [
            "return 1 / 0", "return 'nonsense'", "return float('nan')", "return None", "return 10 ** 400",
            "raise SystemExit(3)", "return 1 +",
        ],
    )  # fmt: skip
    async def test_what_fails_cannot_be_computed(self, tmp_path: Path, body: str):
        metrics = loaded(tmp_path, bad=f"def score(answer, expected, case):\n    {body}\n")
        assert await metrics["custom.bad"].score("answer", CASE) is None

    @pytest.mark.parametrize("content", ["", "score = 3", "import nothing_of_the_kind", "def score(:"])
    async def test_a_file_without_a_function_cannot_be_computed_either(self, tmp_path: Path, content: str):
        assert await loaded(tmp_path, empty=content)["custom.empty"].score("answer", CASE) is None

    async def test_one_that_hangs_is_left_behind(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(metric_plugins, "_PATIENCE_S", 0.01)
        gate = threading.Event()

        def hang(_answer: str, _expected: str, _case: HeldOutCase) -> float:
            gate.wait(30)
            return 1.0

        assert await CustomMetric("custom.slow", hang).score("answer", CASE) is None
        gate.set()

    def test_without_a_folder_there_are_none(self):
        assert load_metrics(None) == ()
