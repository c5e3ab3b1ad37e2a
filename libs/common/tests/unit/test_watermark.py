"""The verifier: what z means for weights that know nothing of the key, and what it finds where a mark was put."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.stats import kstest

from loopwright.errors import InvalidPayload
from loopwright.tensor_files import matrices, rounded
from loopwright.watermark import Pattern, Score, score_adapter, score_folder, score_model

KEY = bytes(range(32))
PATTERN = Pattern(KEY, "job-1")
MODULE = "model.layers.0.self_attn.q_proj"
Array = np.ndarray


def chance(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def write_adapter(folder: Path, down: Array, up: Array, **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    tensors = {
        f"base_model.model.{MODULE}.lora_A.weight": down.astype(np.float32),
        f"base_model.model.{MODULE}.lora_B.weight": up.astype(np.float32),
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "r": down.shape[0], "lora_alpha": 16} | config
    (folder / "adapter_config.json").write_text(json.dumps(told))
    return folder


def write_model(folder: Path, weights: Array) -> Path:
    folder.mkdir(exist_ok=True)
    save_file({f"{MODULE}.weight": weights.astype(np.float32)}, folder / "model.safetensors")
    return folder


def signs(shape: tuple[int, int]) -> Array:
    return next(PATTERN.signs(f"{MODULE}.weight", shape, [slice(0, shape[0])]))


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter that was never marked."""
    return write_adapter(tmp_path / "adapter", chance(1).normal(size=(4, 48)), chance(2).normal(size=(40, 4)))


class TestPattern:
    def test_is_one_of_plus_and_minus_one_in_equal_shares(self) -> None:
        drawn = signs((400, 333))
        assert set(np.unique(drawn)) == {-1.0, 1.0}
        assert abs(drawn.mean()) < 5 / math.sqrt(drawn.size)

    def test_does_not_depend_on_how_many_rows_are_read_at_a_time(self) -> None:
        blocks = [slice(0, 3), slice(3, 4), slice(4, 10)]
        parted = np.concatenate(list(PATTERN.signs(f"{MODULE}.weight", (10, 13), blocks)))
        assert np.array_equal(parted, signs((10, 13)))

    @pytest.mark.parametrize(
        ("pattern", "tensor"),
        [(Pattern(KEY[::-1], "job-1"), MODULE), (Pattern(KEY, "job-2"), MODULE), (PATTERN, "another")],
    )
    def test_is_another_for_another_key_owner_or_tensor(self, pattern: Pattern, tensor: str) -> None:
        drawn = next(pattern.signs(f"{tensor}.weight", (100, 100), [slice(0, 100)]))
        assert abs(float(np.mean(drawn * signs((100, 100))))) < 0.05

    @pytest.mark.parametrize("length", [0, 16, 31, 65])
    def test_refuses_a_key_of_a_strange_length(self, length: int) -> None:
        with pytest.raises(ValueError, match="32 to 64 bytes"):
            Pattern(bytes(length), "job-1")

    def test_never_shows_its_key(self) -> None:
        assert repr(KEY) not in repr(PATTERN)
        assert PATTERN.key_id not in KEY.hex()


class TestUnmarkedWeights:
    def test_give_a_standard_normal_z_over_many_keys(self, adapter: Path) -> None:
        found = [score_adapter(adapter, Pattern(chance(index).bytes(32), "job-1")).z for index in range(600)]
        assert kstest(found, "norm").pvalue > 0.01
        assert max(found) < 5

    def test_give_a_standard_normal_z_over_many_owners_even_with_heavy_tails(self, tmp_path: Path) -> None:
        weights = chance(3).standard_t(df=3, size=(60, 70))
        model = write_model(tmp_path / "model", weights)
        found = [score_model(model, Pattern(KEY, f"job-{index}")).z for index in range(600)]
        assert kstest(found, "norm").pvalue > 0.01

    def test_that_did_not_change_at_all_say_nothing(self, tmp_path: Path) -> None:
        model = write_model(tmp_path / "model", chance(4).normal(size=(8, 8)))
        assert score_model(model, PATTERN, base=model) == Score(0.0, 0)


class TestMarkedWeights:
    def test_are_found_without_a_base_when_the_mark_is_in_all_of_them(self, tmp_path: Path) -> None:
        weights = chance(5).normal(size=(200, 200))
        found = score_model(write_model(tmp_path / "model", weights + 0.05 * signs(weights.shape)), PATTERN)
        assert found.z == pytest.approx(0.05 * 200, abs=3)
        assert found.detected

    def test_are_found_in_the_change_from_a_base_that_would_drown_the_mark(self, tmp_path: Path) -> None:
        weights = chance(6).normal(size=(100, 100))
        change = chance(7).normal(scale=1e-3, size=weights.shape) + 1e-4 * signs(weights.shape)
        base, model = write_model(tmp_path / "base", weights), write_model(tmp_path / "model", weights + change)
        assert score_model(model, PATTERN, base=base).detected
        assert not score_model(model, PATTERN).detected

    def test_score_alike_in_an_adapter_and_in_what_it_adds_to_its_base(self, adapter: Path, tmp_path: Path) -> None:
        parts = {name.rsplit(".", 2)[1]: found.read() for name, found in matrices(adapter).items()}
        weights = chance(8).normal(size=(40, 48))
        base = write_model(tmp_path / "base", weights)
        model = write_model(tmp_path / "model", weights + 16 / 4 * parts["lora_B"] @ parts["lora_A"])
        alone, merged = score_folder(adapter, PATTERN), score_folder(model, PATTERN, base=base)
        assert merged.z == pytest.approx(alone.z, abs=1e-4)
        assert merged.weights == alone.weights == 40 * 48


class TestScore:
    def test_bounds_the_chance_of_its_z_from_above(self) -> None:
        assert Score(0.0, 10).p_bound == 1
        assert Score(-9.0, 10).p_bound == 1
        assert Score(6.0, 10).p_bound == pytest.approx(1.523e-8, rel=1e-3)

    def test_calls_detected_what_has_a_chance_below_a_millionth(self) -> None:
        limit = math.sqrt(2 * math.log(1e6))
        assert not Score(limit - 1e-6, 10).detected
        assert Score(limit + 1e-6, 10).detected


class TestReading:
    def test_rounds_to_bfloat16_as_hardware_does(self) -> None:
        values = np.array([1.0, 1.00390625, 1.01171875, -3.3, 1e-40, 0.0], dtype=np.float32)
        # ties go to the even neighbour: 1 + 1/256 down to 1, 1 + 3/256 up to 1 + 2/128
        assert rounded(values, "BF16").tolist()[:4] == [1.0, 1.0, 1.015625, -3.296875]
        assert rounded(values, "F16").tolist()[3] == -3.30078125

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x05\0\0\0\0\0\0\0{}",
            b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
            b"\x02\0\0\0\0\0\0\0[]",
            b"\x04\0\0\0\0\0\0\0nope",
        ],
    )
    def test_refuses_what_is_no_safetensors_file(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(InvalidPayload) as refused:
            score_model(tmp_path, PATTERN)
        assert refused.value.code == "weights.unreadable"

    @pytest.mark.parametrize("offsets", [[0, 99], [-16, 0], [0, 16_000_000], [1_000_000, 1_000_016]])
    def test_refuses_a_tensor_that_is_not_where_its_header_says(self, tmp_path: Path, offsets: list[int]) -> None:
        header = json.dumps({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": offsets}}).encode()
        (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
        with pytest.raises(InvalidPayload) as refused:
            matrices(tmp_path)
        assert refused.value.code == "weights.unreadable"

    def test_refuses_weights_that_are_no_numbers(self, tmp_path: Path) -> None:
        model = write_model(tmp_path / "model", np.array([[1.0, math.nan]]))
        with pytest.raises(InvalidPayload) as refused:
            score_model(model, PATTERN)
        assert refused.value.code == "weights.not-finite"

    def test_refuses_a_folder_without_weights(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidPayload) as refused:
            score_folder(tmp_path, PATTERN)
        assert refused.value.code == "weights.missing"

    @pytest.mark.parametrize("config", ["", "{", '{"lora_alpha": -1}', '{"lora_alpha": 16, "fan_in_fan_out": true}'])
    def test_refuses_an_adapter_whose_configuration_it_cannot_follow(self, adapter: Path, config: str) -> None:
        (adapter / "adapter_config.json").write_text(config)
        with pytest.raises(InvalidPayload) as refused:
            score_folder(adapter, PATTERN)
        assert refused.value.code == "weights.no-adapter"
