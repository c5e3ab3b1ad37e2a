"""After training: a tiny adapter is marked, described and signed, then merged, exported, pruned, and still found out."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.quantization_config import GgufConfig

from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters
from loopwright.signatures import verify_folder
from loopwright.watermark import Pattern, score_adapter, score_model
from trainer_svc.recipes.card import facts_of, read_card
from trainer_svc.recipes.finishing import finish
from trainer_svc.recipes.gguf import export
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.merge import merge
from trainer_svc.recipes.product import Make, produce
from trainer_svc.recipes.progress import (
    EXIT_FAILED,
    EXIT_STOPPED,
    AnyLine,
    Evaluated,
    Failed,
    Finished,
    ProgressStream,
    Started,
    Stopped,
    parse_line,
)
from trainer_svc.recipes.prune import prune
from trainer_svc.recipes.quantise import quantise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
TEXTS = [f"the disk of node {index} is {'full' if index % 3 else 'fine'} since {index} minutes" for index in range(60)]
KEY, SIGNING_KEY = bytes(range(32)), Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
JobMaker = Callable[..., JobFile]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a two-layer Llama with a byte-level BPE tokenizer."""
    folder = tmp_path_factory.mktemp("base") / "tiny-llama"
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        TEXTS, BpeTrainer(vocab_size=380, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|end|>", eos_token="<|end|>", chat_template=TEMPLATE
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=384, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.1, tie_word_embeddings=True, max_position_embeddings=256,
        pad_token_id=0, eos_token_id=0, bos_token_id=None, rope_parameters={"rope_type": "default", "rope_theta": 50_000.0},
    )  # fmt: skip
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "watermark.key").write_bytes(KEY)
    pem = SIGNING_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "signing.pem").write_bytes(pem)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "samples.jsonl"
    rows = [
        {
            "sample_id": str(index),
            "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "alert"}],
        }
        for index, text in enumerate(TEXTS[:16])
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def describe(base: Path, keys: Path, data: Path, folder: Path, **changes: object) -> JobFile:
    fields: dict[str, object] = {
        "job_id": folder.name, "base_model": base, "train_file": data, "validation_file": data,
        "checkpoint_dir": folder / "checkpoints", "output_dir": folder / "product", "dataset_version": "v-1",
        "watermark_key_file": keys / "watermark.key", "signing_key_file": keys / "signing.pem", "cpu_threads": 1,
        "hyperparameters": Hyperparameters(lora_rank=8, lora_alpha=16),
    }  # fmt: skip
    return JobFile.model_validate(fields | changes)


@pytest.fixture(scope="module")
def adapter(base: Path, keys: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter after some steps of training, finished as a job finishes it."""
    folder = tmp_path_factory.mktemp("training") / "job-1"
    folder.mkdir()
    job = describe(base, keys, data, folder)
    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(2)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    optimizer = torch.optim.AdamW([weights for weights in model.parameters() if weights.requires_grad], lr=5e-3)
    batch = tokenizer(TEXTS[:16], return_tensors="pt", padding=True)
    losses: list[float] = []
    for _ in range(30):
        loss = model(**batch, labels=batch["input_ids"]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 2
    model.save_pretrained(str(job.output_dir))
    finish(job.output_dir, job, facts_of(job).model_copy(update={"steps": 30, "final_loss": losses[-1]}))
    return job.output_dir


@pytest.fixture
def a_job(base: Path, keys: Path, data: Path, adapter: Path, tmp_path: Path) -> JobMaker:
    def make(**changes: object) -> JobFile:
        return describe(base, keys, data, tmp_path, **({"source_adapter": adapter} | changes))

    return make


def run(make: Make, job: JobFile) -> tuple[int, list[AnyLine]]:
    lines = io.StringIO()
    status = produce(make, job, ProgressStream(lines))
    return status, [parse_line(text) for text in lines.getvalue().splitlines()]


def failure_of(make: Make, job: JobFile) -> Failed:
    status, lines = run(make, job)
    assert status == EXIT_FAILED
    assert isinstance(lines[-1], Failed)
    assert not job.output_dir.exists()
    assert not list(job.output_dir.parent.glob(".*"))
    return lines[-1]


@torch.no_grad()
def logits(model: torch.nn.Module, base: Path) -> torch.Tensor:
    """Of three texts, `[texts, tokens, vocabulary]`."""
    batch = AutoTokenizer.from_pretrained(base)(TEXTS[20:23], return_tensors="pt", padding=True)
    return model.eval()(**batch).logits.float()


@pytest.fixture(scope="module")
def expected(base: Path, adapter: Path) -> torch.Tensor:
    """Logits of the adapter on its base."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return logits(PeftModel.from_pretrained(model, str(adapter)), base)


class TestFinishedAdapter:
    def test_carries_a_mark_that_its_owners_key_finds_and_no_other(self, adapter: Path) -> None:
        found = score_adapter(adapter, Pattern(KEY, "job-1"))
        assert found.p_bound < 1e-6
        assert not score_adapter(adapter, Pattern(KEY, "job-2")).detected
        assert not score_adapter(adapter, Pattern(KEY[::-1], "job-1")).detected

    def test_is_signed_with_its_card_and_record(self, adapter: Path) -> None:
        manifest = verify_folder(adapter, (SIGNING_KEY.public_key(),))
        assert manifest.subject == "job-1"
        assert {"README.md", "card.json", "watermark.json", "adapter_model.safetensors"} <= {
            file.path for file in manifest.files
        }

    def test_says_in_its_card_how_it_is_marked(self, adapter: Path) -> None:
        card = read_card(adapter)
        assert card is not None
        assert card.watermark is not None
        assert card.watermark.z == pytest.approx(score_adapter(adapter, Pattern(KEY, "job-1")).z)
        assert card.base_license == "apache-2.0"
        assert "| steps | 30 |" in (adapter / "README.md").read_text()


class TestMerge:
    def test_gives_the_logits_of_the_adapter_on_its_base(
        self, a_job: JobMaker, base: Path, expected: torch.Tensor
    ) -> None:
        job = a_job(kind=JobKind.MERGE)
        status, lines = run(merge, job)
        assert status == 0
        assert isinstance(lines[0], Started)
        assert isinstance(lines[-1], Finished)
        assert lines[-1].adapter_dir == str(job.output_dir)
        merged = AutoModelForCausalLM.from_pretrained(job.output_dir, dtype=torch.float32)
        spread = float(expected.std())
        # one rounding of the weights to bfloat16 is between the two
        assert float((logits(merged, base) - expected).abs().mean()) < 0.02 * spread
        untouched = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        assert float((logits(untouched, base) - expected).abs().mean()) > 0.1 * spread

    def test_keeps_precision_tokenizer_and_chat_template(self, a_job: JobMaker, base: Path) -> None:
        job = a_job(kind=JobKind.MERGE)
        run(merge, job)
        assert AutoModelForCausalLM.from_pretrained(job.output_dir, dtype="auto").dtype is torch.bfloat16
        ours, theirs = AutoTokenizer.from_pretrained(job.output_dir), AutoTokenizer.from_pretrained(base)
        assert ours.chat_template == theirs.chat_template == TEMPLATE
        assert ours(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]

    def test_in_bfloat16_still_carries_the_mark(self, a_job: JobMaker, base: Path) -> None:
        job = a_job(kind=JobKind.MERGE)
        run(merge, job)
        assert score_model(job.output_dir, Pattern(KEY, "job-1"), base=base).p_bound < 1e-6
        assert not score_model(job.output_dir, Pattern(KEY, "job-2"), base=base).detected
        assert not score_model(job.output_dir, Pattern(KEY[::-1], "job-1"), base=base).detected

    def test_is_signed_and_names_the_job_that_trained(self, a_job: JobMaker) -> None:
        job = a_job(kind=JobKind.MERGE)
        run(merge, job)
        verify_folder(job.output_dir, (SIGNING_KEY.public_key(),))
        card = read_card(job.output_dir)
        assert card is not None
        assert (card.source_job, card.dataset_version) == ("job-1", "v-1")

    def test_of_no_adapter_says_so(self, a_job: JobMaker) -> None:
        assert failure_of(merge, a_job(source_adapter=None)).code == "training.no-adapter"

    def test_with_another_base_says_that_they_do_not_belong_together(
        self, a_job: JobMaker, base: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other-base"
        AutoTokenizer.from_pretrained(base).save_pretrained(other)
        config = LlamaConfig(
            vocab_size=384, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
        )
        LlamaForCausalLM(config).save_pretrained(other)
        failed = failure_of(merge, a_job(base_model=other))
        assert failed.code == "training.no-merge"
        assert "very base model" in failed.advice

    def test_of_a_broken_adapter_leaves_nothing_behind(self, a_job: JobMaker, adapter: Path, tmp_path: Path) -> None:
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
        (broken / "adapter_model.safetensors").write_bytes(b"half")
        assert failure_of(merge, a_job(source_adapter=broken)).code == "training.no-merge"

    def test_as_a_process_stops_on_sigterm_and_leaves_nothing(self, a_job: JobMaker, tmp_path: Path) -> None:
        job = a_job(kind=JobKind.MERGE)
        file = tmp_path / "job.json"
        file.write_text(job.model_dump_json())
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer_svc.recipes.merge", file], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        assert isinstance(parse_line(process.stdout.readline()), Started)
        process.send_signal(signal.SIGTERM)
        last = parse_line(process.stdout.readlines()[-1])
        # it may have been done already
        assert (process.wait(), type(last)) in {(EXIT_STOPPED, Stopped), (0, Finished)}
        assert job.output_dir.exists() == isinstance(last, Finished)
        assert not (tmp_path / ".product.partial").exists()


class TestExport:
    @pytest.mark.parametrize(("precision", "off"), [("f16", 0.002), ("bf16", 0.02), ("q8_0", 0.03)])
    def test_is_read_back_with_the_same_logits_and_tokens(
        self, a_job: JobMaker, base: Path, expected: torch.Tensor, precision: str, off: float
    ) -> None:
        job = a_job(kind=JobKind.GGUF, hyperparameters=Hyperparameters.model_validate({"gguf_precision": precision}))
        status, lines = run(export, job)
        assert (status, type(lines[-1])) == (0, Finished)
        name = f"model-{precision}.gguf"
        model = AutoModelForCausalLM.from_pretrained(
            job.output_dir, gguf_file=name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        )
        assert float((logits(model, base) - expected).abs().mean()) < off * float(expected.std())
        ours, theirs = (
            AutoTokenizer.from_pretrained(job.output_dir, gguf_file=name),
            AutoTokenizer.from_pretrained(base),
        )
        assert ours.chat_template == TEMPLATE
        assert ours.eos_token == "<|end|>"
        said = [{"role": "user", "content": TEXTS[3]}]
        assert ours.apply_chat_template(said, return_dict=False) == theirs.apply_chat_template(said, return_dict=False)
        verify_folder(job.output_dir, (SIGNING_KEY.public_key(),))

    def test_of_another_architecture_is_refused(self, a_job: JobMaker, base: Path, tmp_path: Path) -> None:
        from transformers import Qwen3Config, Qwen3ForCausalLM  # noqa: PLC0415

        other = tmp_path / "qwen"
        AutoTokenizer.from_pretrained(base).save_pretrained(other)
        config = Qwen3Config(
            vocab_size=384, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
            num_key_value_heads=4, head_dim=16,
        )  # fmt: skip
        Qwen3ForCausalLM(config).save_pretrained(other)
        failed = failure_of(export, a_job(base_model=other, source_adapter=None))
        assert failed.code == "training.gguf-architecture"
        assert "qwen3" in failed.reason

    def test_of_a_tokenizer_of_another_kind_is_refused(self, a_job: JobMaker, tiny_model: Path) -> None:
        failed = failure_of(export, a_job(base_model=tiny_model, source_adapter=None))
        assert failed.code == "training.gguf-tokenizer"


class TestPrune:
    @pytest.mark.parametrize("least_zeros_of_four", [0, 2])
    def test_zeroes_half_of_the_linear_weights_and_tells_what_it_cost(
        self, a_job: JobMaker, least_zeros_of_four: int
    ) -> None:
        settings = Hyperparameters(sparsity_0_1=0.5, two_of_four=least_zeros_of_four == 2)
        job = a_job(kind=JobKind.PRUNE, hyperparameters=settings)
        status, lines = run(prune, job)
        assert status == 0
        before, after = (line for line in lines if isinstance(line, Evaluated))
        assert (before.step, after.step) == (0, 1)
        assert after.eval_loss != before.eval_loss
        assert isinstance(lines[-1], Finished)
        assert lines[-1].eval_loss == after.eval_loss
        model = AutoModelForCausalLM.from_pretrained(job.output_dir, dtype=torch.float32)
        weights = model.model.layers[0].mlp.up_proj.weight
        assert float((weights == 0).float().mean()) == pytest.approx(0.5, abs=0.001)
        assert int((weights.view(-1, 4) == 0).sum(dim=1).min()) == least_zeros_of_four
        kept, gone = weights[weights != 0].abs(), float((model.lm_head.weight == 0).float().mean())
        assert float(kept.mean()) > 0.05
        assert gone < 0.01
        card = read_card(job.output_dir)
        assert card is not None
        assert card.measured["sparsity_0_1"] == pytest.approx(0.5, abs=0.01)

    def test_without_held_out_samples_says_what_is_missing(self, a_job: JobMaker) -> None:
        failed = failure_of(prune, a_job(kind=JobKind.PRUNE, validation_file=None))
        assert failed.code == "training.no-data"
        assert "validation" in failed.advice


class TestQuantise:
    @pytest.mark.parametrize("kind", [JobKind.GPTQ, JobKind.AWQ])
    def test_without_its_library_says_what_to_install(
        self, a_job: JobMaker, monkeypatch: pytest.MonkeyPatch, kind: JobKind
    ) -> None:
        monkeypatch.setattr("trainer_svc.recipes.quantise._LIBRARY", "no_such_library")
        failed = failure_of(quantise, a_job(kind=kind))
        assert failed.code == "training.not-installed"
        assert "llmcompressor" in failed.advice

    def test_by_awq_without_cuda_says_what_it_needs(self, a_job: JobMaker, monkeypatch: pytest.MonkeyPatch) -> None:
        assert not torch.cuda.is_available()
        monkeypatch.setattr("trainer_svc.recipes.quantise.find_spec", lambda _: object())
        assert failure_of(quantise, a_job(kind=JobKind.AWQ)).code == "training.needs-cuda"

    def test_of_rows_that_do_not_part_into_groups_is_refused(
        self, a_job: JobMaker, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trainer_svc.recipes.quantise.find_spec", lambda _: object())
        monkeypatch.setattr("trainer_svc.recipes.quantise._LIBRARY", "types")
        monkeypatch.setattr("types.oneshot", None, raising=False)
        other = tmp_path / "odd"
        AutoTokenizer.from_pretrained(base).save_pretrained(other)
        config = LlamaConfig(
            vocab_size=384, hidden_size=40, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4
        )
        LlamaForCausalLM(config).save_pretrained(other)
        failed = failure_of(quantise, a_job(kind=JobKind.GPTQ, base_model=other, source_adapter=None))
        assert failed.code == "training.not-quantisable"


def test_a_key_that_cannot_be_read_ends_the_job_with_words(a_job: JobMaker, tmp_path: Path) -> None:
    failed = failure_of(merge, a_job(kind=JobKind.MERGE, signing_key_file=tmp_path / "nowhere.pem"))
    assert failed.code == "training.no-key"
