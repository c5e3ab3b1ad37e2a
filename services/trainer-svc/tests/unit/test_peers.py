"""How a process of a group tells that another is gone, and how the group's end is told."""

import signal
from pathlib import Path

import pytest
import torch.distributed as dist

from trainer_svc.recipes.distributed import lost_peer, save_from_checkpoint
from trainer_svc.recipes.group import _end_as
from trainer_svc.recipes.sharding import EXIT_PEER_LOST


class TestLostPeer:
    @pytest.fixture(autouse=True)
    def in_a_group(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dist, "is_initialized", lambda: True)

    @pytest.mark.parametrize(
        "error",
        [
            RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:10385"),
            RuntimeError("Connection closed by peer [127.0.0.1]:5"),
            dist.DistBackendError("NCCL communicator was aborted"),
        ],
    )
    def test_is_told_from_what_the_exchange_says(self, error: Exception) -> None:
        assert lost_peer(error)

    def test_is_found_behind_what_it_led_to(self) -> None:
        wrapped = ValueError("saving failed")
        wrapped.__cause__ = dist.DistNetworkError("reset")
        assert lost_peer(wrapped)

    def test_is_no_excuse_for_a_failure_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert not lost_peer(RuntimeError("out of memory"))
        monkeypatch.setattr(dist, "is_initialized", lambda: False)
        assert not lost_peer(RuntimeError("Connection closed by peer"))


class TestEndOfAGroup:
    @pytest.mark.parametrize(
        ("statuses", "status"),
        [([75, 75], 75), ([EXIT_PEER_LOST, 1], 1), ([-signal.SIGTERM, 1], 1), ([EXIT_PEER_LOST], EXIT_PEER_LOST)],
    )
    def test_is_that_of_the_process_that_caused_it(self, statuses: list[int], status: int) -> None:
        assert _end_as(statuses) == status


class TestSaveFromCheckpoint:
    def test_takes_the_whole_weights_and_nothing_that_a_reader_would_run(self, tmp_path: Path) -> None:
        checkpoint = tmp_path / "checkpoint-5"
        checkpoint.mkdir()
        for name in ("adapter_model.safetensors", "optimizer.bin", "training_args.bin", "rng_state_0.pth"):
            (checkpoint / name).write_text(name)
        (checkpoint / "adapter_config.json").write_text('{"target_modules": ["v_proj", "q_proj"], "r": 4}')
        target = tmp_path / "adapter"
        target.mkdir()
        (target / "old").write_text("of an earlier attempt")

        save_from_checkpoint(checkpoint, target)

        assert {path.name for path in target.iterdir()} == {"adapter_model.safetensors", "adapter_config.json"}
        config = (target / "adapter_config.json").read_text()
        assert config.index("q_proj") < config.index("v_proj")

    def test_of_a_whole_model_takes_tokenizer_and_configuration_too(self, tmp_path: Path) -> None:
        checkpoint = tmp_path / "checkpoint-5"
        checkpoint.mkdir()
        wanted = {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json"}
        for name in (*wanted, "pytorch_model_fsdp.bin", "scheduler.pt"):
            (checkpoint / name).write_text(name)
        save_from_checkpoint(checkpoint, tmp_path / "model")
        assert {path.name for path in (tmp_path / "model").iterdir()} == wanted
