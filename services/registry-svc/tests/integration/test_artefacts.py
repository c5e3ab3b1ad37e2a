"""Signature and watermark of adapters: at registration and before every deployment, and what tampering leads to."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from safetensors.numpy import load_file, save_file

from loopwright.contracts.base import Artifact
from loopwright.contracts.registry import ALERT_RAISED, DEPLOYMENT_CHANGED
from loopwright.signatures import SIGNATURE_FILE, sign_folder
from loopwright.watermark import Pattern, keyed_projection, low_rank_changes, score_adapter
from registry_svc.adapters.verification import ArtefactRefused, Verifier
from registry_svc.domain.models import VariantId
from registry_svc.domain.proof import Policy
from registry_svc.handlers.promotions import Order, promote

pytestmark = pytest.mark.integration
KEY, MARK_KEY = Ed25519PrivateKey.generate(), bytes(range(32))
MODULE = "base_model.model.model.layers.0.self_attn.q_proj"


def an_adapter_folder(folder: Path, job_id: str) -> Path:
    """An adapter as trainer-svc leaves it: marked, with its card, signed."""
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8}))
    chance = np.random.default_rng(7)
    down, up = chance.normal(size=(4, 48)), chance.normal(size=(40, 4))
    weights = folder / "adapter_model.safetensors"

    def write(up: np.ndarray) -> None:
        tensors = {f"{MODULE}.lora_A.weight": down, f"{MODULE}.lora_B.weight": up}
        save_file({name: values.astype(np.float32) for name, values in tensors.items()}, weights)

    write(up)
    pattern = Pattern(MARK_KEY, job_id)
    ((tensor, change),) = low_rank_changes(folder).items()
    write(up + 0.3 * keyed_projection(change, pattern, tensor, change.down.read().T))
    score = score_adapter(folder, pattern)
    assert score.detected
    mark = {"owner_id": job_id, "z": score.z, "merged_z": score.z, "weights": score.weights}
    card = {"job_id": job_id, "kind": "train", "base_model": "tiny-base", "base_license": "mit", "watermark": mark}
    (folder / "card.json").write_text(json.dumps(card))
    sign_folder(folder, KEY, subject=job_id)
    return folder


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return buffer.getvalue()


async def stored(world, folder: Path) -> Artifact:
    content = packed(folder)
    return await world.storage.put_bytes(content, kind="adapters", suffix=".tar", media_type="application/x-tar")


def file_of(artifact: Artifact) -> Path:
    return Path(artifact.uri.removeprefix("file://"))


def unmark(folder: Path) -> None:
    """Removes the mark, and signs again with the right key: only the key of the mark tells."""
    chance = np.random.default_rng(9)
    weights = folder / "adapter_model.safetensors"
    save_file({k: chance.normal(size=v.shape).astype(np.float32) for k, v in load_file(weights).items()}, weights)
    sign_folder(folder, KEY, subject="job-1")


TAMPERED = {
    "a changed file": (lambda folder: (folder / "adapter_config.json").write_text("{}"), "signature does not hold"),
    "an added file": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "signature does not hold"),
    "another's key": (
        lambda folder: sign_folder(folder, Ed25519PrivateKey.generate(), subject="job-1"), "is not trusted",
    ),
    "another job's signature": (lambda folder: sign_folder(folder, KEY, subject="job-2"), "signed for job-2"),
    "weights without their mark": (unmark, "do not carry"),
    "no signature": (lambda folder: (folder / SIGNATURE_FILE).unlink(), "not signed"),
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def strict(world, base_model):
    """A world that requires proof."""
    world.verifier = Verifier(Policy.REQUIRE, public_keys=(KEY.public_key(),), mark_key=MARK_KEY)
    await world.reconnect()
    await world.declare_and_serve()
    world.list_variants(f"{world.task_id}:1", f"{base_model}:1")
    return world


class TestAtRegistration:
    async def test_a_marked_and_signed_adapter_is_taken_and_its_proof_and_card_are_kept(self, strict, tmp_path):
        artifact = await stored(strict, an_adapter_folder(tmp_path / "a", "job-1"))
        event = await strict.a_finished_job(job_id="job-1", adapter=artifact.model_dump(mode="json"))
        await strict.release_job(event)

        (row,) = [row for row in await strict.rows("model_versions") if row["job_id"]]
        assert (row["proof"]["signature"], row["proof"]["mark"], row["proof"]["signed_for"]) == (
            "valid", "found", "job-1",
        )  # fmt: skip
        assert row["card"]["base_license"] == "mit"
        assert await strict.announced(ALERT_RAISED) == []

    @pytest.mark.parametrize("how", TAMPERED)
    async def test_one_that_was_tampered_with_is_refused_and_somebody_is_called(self, strict, tmp_path, how):
        tamper, reason = TAMPERED[how]
        folder = an_adapter_folder(tmp_path / "a", "job-1")
        tamper(folder)
        adapter = (await stored(strict, folder)).model_dump(mode="json")
        await strict.release_job(await strict.a_finished_job(job_id="job-1", adapter=adapter))

        (release,) = await strict.rows("releases", "state, reason, model_version")
        assert (release["state"], release["model_version"]) == ("failed", None)
        assert reason in release["reason"]
        (alert,) = await strict.announced(ALERT_RAISED)
        assert (alert.kind, alert.severity) == ("model.artefact-refused", "critical")
        assert strict.vllm.adapters == {}

    async def test_bytes_that_storage_changed_are_refused(self, strict, tmp_path):
        artifact = await stored(strict, an_adapter_folder(tmp_path / "a", "job-1"))
        file_of(artifact).write_bytes(b"something else")
        event = await strict.a_finished_job(job_id="job-1", adapter=artifact.model_dump(mode="json"))
        await strict.release_job(event)

        (release,) = await strict.rows("releases", "state, reason")
        assert (release["state"], "bytes that were named" in release["reason"]) == ("failed", True)
        assert len(await strict.announced(ALERT_RAISED)) == 1


class TestBeforeDeployment:
    async def released(self, strict, tmp_path: Path) -> Path:
        strict.router.answers = lambda variant, _: (
            f'{{"status": "{"alert" if variant.startswith("mood") else "normal"}"}}'
        )
        artifact = await stored(strict, an_adapter_folder(tmp_path / "a", "job-1"))
        event = await strict.a_finished_job(job_id="job-1", adapter=artifact.model_dump(mode="json"))
        await strict.release_job(event)
        return strict.files.folder_of(artifact)

    async def test_files_that_somebody_changed_on_the_disk_are_not_promoted(self, strict, tmp_path):
        folder = await self.released(strict, tmp_path)
        changes = len(await strict.announced(DEPLOYMENT_CHANGED))
        (folder / "adapter_model.safetensors").write_bytes(b"a trojan horse")
        (row,) = await strict.rows("deployments", "revision")
        order = Order(task_id=strict.task_id, revision=row["revision"], reason="x", by="test")

        for _ in range(2):
            with pytest.raises(ArtefactRefused, match="signature-invalid"):
                await promote(VariantId(strict.task_id, 1), order, strict.means)
        assert len(await strict.announced(DEPLOYMENT_CHANGED)) == changes
        (alert,) = await strict.announced(ALERT_RAISED)  # once, however often it is tried
        assert alert.task_id == strict.task_id
        (use,) = [use for use in await strict.rows("model_uses") if use["kind"] == "refused"]
        assert "signature" in use["reason"]

    async def test_a_restarted_server_does_not_get_them_either(self, strict, tmp_path):
        folder = await self.released(strict, tmp_path)
        (folder / "adapter_model.safetensors").write_bytes(b"a trojan horse")
        strict.vllm.restart()
        await strict.restoring.step()
        assert strict.vllm.adapters == {}

    async def test_files_that_did_not_change_are_read_once(self, strict, tmp_path, monkeypatch):
        await self.released(strict, tmp_path)
        examined: list[Path] = []
        monkeypatch.setattr(strict.verifier, "examine", lambda folder, _: examined.append(folder))
        strict.vllm.restart()
        await strict.restoring.step()
        assert len(strict.vllm.adapters) == 1
        assert examined == []


async def test_the_check_policy_takes_what_nobody_signed_and_says_so(world, base_model):
    world.verifier = Verifier(Policy.CHECK, public_keys=(KEY.public_key(),), mark_key=MARK_KEY)
    await world.reconnect()
    await world.declare_and_serve()
    await world.release_job(await world.a_finished_job())
    (row,) = [row for row in await world.rows("model_versions") if row["job_id"]]
    assert (row["proof"]["signature"], row["proof"]["mark"]) == ("missing", "not_expected")


def test_proof_cannot_be_required_without_keys():
    with pytest.raises(ValueError, match="no public keys"):
        Verifier(Policy.REQUIRE)
