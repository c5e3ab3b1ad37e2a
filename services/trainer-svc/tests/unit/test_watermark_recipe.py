"""Embedding the watermark: as strong as asked, as weak as possible, and still there after what weights go through."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import kstest

from loopwright.tensor_files import matrices, rounded
from loopwright.watermark import Pattern, score_adapter, score_model
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.watermark import RECORD_FILE, WatermarkRecord, mark_adapter, mark_folder, mark_model

KEY = bytes(range(32))
PATTERN = Pattern(KEY, "job-1")
LAYERS = {f"model.layers.{index}.mlp.up_proj": (400, 96 + 32 * index) for index in range(3)}
RANK, ALPHA = 8, 16


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Weights like those of a trained model, as bfloat16 holds them."""
    chance = np.random.default_rng(1)
    folder = tmp_path / "base"
    folder.mkdir()
    tensors = {
        f"{name}.weight": rounded(chance.normal(scale=0.05, size=shape).astype(np.float32), "BF16")
        for name, shape in LAYERS.items()
    }
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return an_adapter(tmp_path / "adapter")


def an_adapter(folder: Path, *, dtype: type[np.generic] = np.float32, learned: float = 2e-3) -> Path:
    """A LoRA adapter with a delta of about a hundredth of the base's weights."""
    chance = np.random.default_rng(2)
    folder.mkdir()
    tensors: dict[str, np.ndarray] = {}
    for name, (out, into) in LAYERS.items():
        down = chance.uniform(-1, 1, size=(RANK, into)) / np.sqrt(into)
        tensors[f"base_model.model.{name}.lora_A.weight"] = down.astype(dtype)
        tensors[f"base_model.model.{name}.lora_B.weight"] = chance.normal(scale=learned, size=(out, RANK)).astype(dtype)
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": RANK, "lora_alpha": ALPHA}))
    return folder


def deltas(adapter: Path) -> dict[str, np.ndarray]:
    tensors = load_file(adapter / "adapter_model.safetensors")
    return {
        name: ALPHA
        / RANK
        * tensors[f"base_model.model.{name}.lora_B.weight"].astype(np.float32)
        @ tensors[f"base_model.model.{name}.lora_A.weight"].astype(np.float32)
        for name in LAYERS
    }


def merge(base: Path, adapter: Path, folder: Path, change: Callable[[np.ndarray], np.ndarray] = lambda w: w) -> Path:
    """Adds the adapter to the base and does something to the sums."""
    weights = load_file(base / "model.safetensors")
    folder.mkdir()
    save_file(
        {f"{name}.weight": change(weights[f"{name}.weight"] + delta) for name, delta in deltas(adapter).items()},
        folder / "model.safetensors",
    )
    return folder


def distance(changed: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> float:
    """Norm of the difference over that of the original."""
    moved = sum(float(np.sum((changed[name] - before[name]) ** 2)) for name in before)
    return float(np.sqrt(moved / sum(float(np.sum(values**2)) for values in before.values())))


class TestMarkAdapter:
    def test_reaches_the_wanted_z_and_not_more(self, adapter: Path) -> None:
        record = mark_adapter(adapter, PATTERN, wanted_z=8)
        assert record.z == pytest.approx(8, abs=1e-3)
        assert score_adapter(adapter, PATTERN).z == record.z
        assert record.p_bound < 1e-13

    def test_changes_what_was_learned_as_little_as_its_size_allows(self, adapter: Path) -> None:
        before = deltas(adapter)
        already = score_adapter(adapter, PATTERN).z
        record = mark_adapter(adapter, PATTERN, wanted_z=8)
        # the projection of random signs on rank directions of `out` rows: z grows by the root of their number
        room = np.sqrt(sum(out * RANK for out, _ in LAYERS.values()))
        assert record.change_0_1 == pytest.approx((8 - already) / room, rel=0.05)
        assert distance(deltas(adapter), before) == pytest.approx(record.change_0_1, rel=1e-3)

    def test_leaves_matrix_a_alone(self, adapter: Path) -> None:
        before = load_file(adapter / "adapter_model.safetensors")
        mark_adapter(adapter, PATTERN)
        after = load_file(adapter / "adapter_model.safetensors")
        assert before.keys() == after.keys()
        assert {name for name in before if not np.array_equal(before[name], after[name])} == {
            name for name in before if "lora_B" in name
        }

    def test_twice_changes_nothing_more(self, adapter: Path) -> None:
        mark_adapter(adapter, PATTERN, wanted_z=8)
        before = deltas(adapter)
        assert mark_adapter(adapter, PATTERN, wanted_z=8).change_0_1 < 1e-4
        assert distance(deltas(adapter), before) < 1e-4

    def test_for_two_owners_both_are_found(self, adapter: Path) -> None:
        other = Pattern(KEY, "job-2")
        mark_adapter(adapter, PATTERN)
        mark_adapter(adapter, other)
        assert score_adapter(adapter, PATTERN).detected
        assert score_adapter(adapter, other).detected

    def test_works_on_half_precision_files(self, tmp_path: Path) -> None:
        half = an_adapter(tmp_path / "half", dtype=np.float16)
        assert mark_adapter(half, PATTERN, wanted_z=8).z == pytest.approx(8, abs=0.1)

    def test_stays_below_a_tenth_of_the_change_where_too_few_weights_could_carry_it(self, adapter: Path) -> None:
        record = mark_adapter(adapter, PATTERN, wanted_z=100)
        assert record.change_0_1 == pytest.approx(0.1, rel=0.05)
        assert record.z < 15

    def test_refuses_an_adapter_that_learned_nothing(self, tmp_path: Path) -> None:
        idle = an_adapter(tmp_path / "idle", learned=0)
        with pytest.raises(TrainingFailed) as refused:
            mark_adapter(idle, PATTERN)
        assert refused.value.explanation.code == "training.nothing-learned"

    def test_leaves_other_keys_a_standard_normal_z(self, adapter: Path) -> None:
        mark_adapter(adapter, PATTERN)
        chance = np.random.default_rng(3)
        found = [score_adapter(adapter, Pattern(chance.bytes(32), "job-1")).z for _ in range(250)]
        assert kstest(found, "norm").pvalue > 0.01
        assert max(found) < 5


class TestMergedWeights:
    def test_keep_the_mark(self, base: Path, adapter: Path, tmp_path: Path) -> None:
        record = mark_adapter(adapter, PATTERN)
        merged = merge(base, adapter, tmp_path / "merged")
        assert score_model(merged, PATTERN, base=base).z == pytest.approx(record.z, rel=1e-3)
        assert not score_model(merged, Pattern(KEY, "job-2"), base=base).detected

    def test_keep_the_wanted_z_through_bfloat16_if_it_was_made_for_their_base(self, base: Path, tmp_path: Path) -> None:
        # a delta below half a step of most weights, of which rounding leaves little
        weak, strong = (an_adapter(tmp_path / name, learned=5e-4) for name in ("weak", "strong"))
        mark_adapter(weak, PATTERN, wanted_z=6.0)
        record = mark_adapter(strong, PATTERN, base=base, wanted_z=6.0)
        through = [
            score_model(
                merge(base, one, tmp_path / f"merged-{one.name}", lambda w: rounded(w, "BF16")), PATTERN, base=base
            )
            for one in (weak, strong)
        ]
        assert record.z > 6.5
        assert through[1].z == pytest.approx(6.0, abs=2)
        assert through[1].z > through[0].z
        assert record.merged_z == pytest.approx(through[1].z, rel=1e-3)

    def test_keep_the_mark_through_float16(self, base: Path, adapter: Path, tmp_path: Path) -> None:
        mark_adapter(adapter, PATTERN, base=base)
        merged = merge(base, adapter, tmp_path / "merged", lambda w: rounded(w, "F16"))
        assert score_model(merged, PATTERN, base=base).detected

    def test_keep_the_mark_when_the_adapter_learns_on(self, base: Path, adapter: Path, tmp_path: Path) -> None:
        mark_adapter(adapter, PATTERN, base=base)
        path = adapter / "adapter_model.safetensors"
        tensors, chance = load_file(path), np.random.default_rng(4)
        save_file(
            {name: values + (chance.normal(scale=5e-4, size=values.shape).astype(np.float32) if "lora_B" in name else 0)
             for name, values in tensors.items()},
            path,
        )  # fmt: skip
        assert score_adapter(adapter, PATTERN).detected


class TestMarkModel:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        weights = np.random.default_rng(5).normal(scale=0.05, size=(1200, 1000)).astype(np.float32)
        weights[0, :10] = 0
        save_file(
            {"model.up.weight": rounded(weights, "BF16"), "model.norm.weight": weights[0]}, folder / "model.safetensors"
        )
        return folder

    def test_is_found_without_a_base(self, model: Path) -> None:
        record = mark_model(model, PATTERN, wanted_z=8)
        assert record.z == pytest.approx(8, abs=0.3)
        assert score_model(model, PATTERN).detected
        assert not score_model(model, Pattern(bytes(32), "job-1")).detected

    def test_is_found_after_rounding_to_bfloat16(self, model: Path) -> None:
        mark_model(model, PATTERN, wanted_z=8)
        for weights in matrices(model).values():
            weights.write(rounded(weights.read(), "BF16"))
        assert score_model(model, PATTERN).z == pytest.approx(8, abs=0.5)

    def test_moves_no_weight_further_than_a_step_of_bfloat16_or_the_mark_itself(self, model: Path) -> None:
        before = load_file(model / "model.safetensors")
        record = mark_model(model, PATTERN, wanted_z=8)
        after = load_file(model / "model.safetensors")
        moved = np.abs(after["model.up.weight"] - before["model.up.weight"])
        assert np.all(moved <= np.maximum(np.abs(before["model.up.weight"]) / 128, 0.01 * 0.05))
        assert np.array_equal(after["model.norm.weight"], before["model.norm.weight"])
        assert record.change_0_1 < 0.01

    def test_says_when_the_model_has_too_few_weights_for_it(self, tmp_path: Path) -> None:
        weights = np.random.default_rng(6).normal(size=(40, 40)).astype(np.float32)
        save_file({"model.up.weight": weights}, tmp_path / "model.safetensors")
        assert not mark_model(tmp_path, PATTERN).detectable

    def test_is_the_same_each_time(self, model: Path, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes())
        mark_model(model, PATTERN)
        mark_model(copy, PATTERN)
        assert (copy / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


def test_the_record_beside_the_weights_says_whose_mark_it_is_and_nothing_of_the_key(adapter: Path) -> None:
    record = mark_folder(adapter, PATTERN)
    text = (adapter / RECORD_FILE).read_text()
    assert WatermarkRecord.model_validate_json(text) == record
    assert (record.owner_id, record.key_id) == ("job-1", PATTERN.key_id)
    assert KEY.hex() not in text
    assert record.detectable
