"""Token counts equal those of Hugging Face `tokenizers`, whatever the text and whatever the tokenizer."""

import json
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tokie
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from dataset_svc.adapters import token_counts
from dataset_svc.adapters.token_counts import CountingEngine, TokenCounter
from dataset_svc.domain.tokens.automata import Kind
from loopwright.errors import Invalid, NotFound

ROOT = Path(__file__).parents[4]
MODEL = ROOT / ".local/models/smollm2-135m-instruct"
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
CORPUS = [
    "안녕하세요 서버가 멈췄습니다 다시 시작합니다",
    "the disk is full and the node won't answer",
    "x = f(1, 'two')\n",
]
TEXTS = [
    "",
    " ",
    "\n\n\t ",
    "홍길동님, 안녕하세요! 배송이 언제 오나요? ㅋㅋㅋ",
    "It isn't what we'd said.",
    "for i in range(10):\n\tprint('tab before a quote', \"x\")\n",
    "- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 RAS KERNEL INFO cache parity error corrected",
    "👩‍👩‍👧‍👦🇰🇷👍🏽",
    "<|im_start|>user\nhi<|im_end|><|im_start|",
    "\u1112\u1161\u11ab é e\u0301 \ufeff\u200b\u2028\x85\x00\x04.\x14a\U00050000b\U0010ffff",
    "\t't \t'll \t\t's\n't \u00a0're",
    "a" * 3_000,
]


@cache
def reference(path: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def oracle(path: Path, texts: list[str]) -> list[int]:
    tokenizer = reference(path)
    return [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]


def byte_level(
    folder: Path,
    *,
    whole_alphabet: bool = True,
    normalizer: normalizers.Normalizer | None = None,
    cutter: pre_tokenizers.PreTokenizer | None = None,
) -> Path:
    """Trains a tiny byte-level BPE as SmolLM2 has it; without the whole alphabet it lacks rare bytes, as SmolLM2 does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cutter or pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=alphabet if whole_alphabet else alphabet[:230],
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 50, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_level(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_level(tmp_path_factory.mktemp("lacking"), whole_alphabet=False)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cuts as the published SmolLM2 does."""
    alone = pre_tokenizers.Digits(individual_digits=True)
    cutter = pre_tokenizers.Sequence([alone, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return byte_level(tmp_path_factory.mktemp("digits"), cutter=cutter)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cuts and composes as Qwen does."""
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    cutter = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return byte_level(tmp_path_factory.mktemp("qwen"), cutter=cutter, normalizer=normalizers.NFC())


@pytest.fixture(scope="module")
def smollm() -> Path:
    if not (MODEL / "tokenizer.json").is_file():
        pytest.skip("the base model was not fetched: make up does it")
    return MODEL


@pytest.mark.parametrize("which", ["trained", "lacking", "digits", "qwen", "smollm"])
def test_counts_are_those_of_the_reference_and_the_fast_engine_gives_them(
    which: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(which)
    counter = TokenCounter.load(folder)
    counts = counter.count(TEXTS)
    assert counts.dtype == np.int32
    assert counts.tolist() == oracle(folder / "tokenizer.json", TEXTS)
    assert counter.engine is CountingEngine.PIECES


@pytest.mark.parametrize("which", ["lacking", "digits", "qwen", "smollm"])
def test_counts_agree_on_any_text(which: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(which)
    counter = TokenCounter.load(folder)
    sign = st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(
            [
                *SPECIAL,
                *"'' \t19svL.가",
                "'ll",
                "ㅋㅋ",
                "😀",
                "\u200d",
                "\u0301",
                "  ",
                "\n",
                "\v",
                "\f",
                "\x04",
                "\U00050000",
                "<|",
            ]
        ),
    )

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.lists(sign, max_size=40).map("".join), max_size=30))
    def agree(texts: list[str]) -> None:
        assert counter.count(texts).tolist() == oracle(folder / "tokenizer.json", texts)

    agree()


@pytest.mark.parametrize("text", ["\t't", "\U00050000", "  \v", "\n\n\f"])
def test_what_the_fast_engine_is_known_to_get_wrong_still_stands_and_is_counted_right(smollm: Path, text: str) -> None:
    """When the first fails tokie was mended: the detour around it can go."""
    [right] = oracle(smollm / "tokenizer.json", [text])
    assert tokie.Tokenizer.from_json(str(smollm / "tokenizer.json")).count_tokens(text) != right
    assert TokenCounter.load(smollm).count([text]).tolist() == [right]


def unigram(folder: Path) -> Path:
    tokenizer = Tokenizer(models.Unigram([("<unk>", -9.0), ("▁", -2.0), ("a", -3.0), ("ab", -3.5), ("가", -4.0)], 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def reversed_words(folder: Path) -> Path:
    """A pre-tokenizer that no fast path was written for."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "disk": 1, "full": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.CharDelimiterSplit("s"), pre_tokenizers.Digits(individual_digits=True)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def normalized(folder: Path) -> Path:
    return byte_level(folder, normalizer=normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()]))


@pytest.mark.parametrize("make", [unigram, reversed_words, normalized])
def test_any_other_kind_of_tokenizer_is_counted_right_too(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path)
    assert TokenCounter.load(folder).count(TEXTS).tolist() == oracle(folder / "tokenizer.json", TEXTS)


class Miscounting:
    """Stands where tokie would: one token too many for everything."""

    def count_tokens_batch(self, texts: list[str]) -> list[int]:
        return [len(text) + 1 for text in texts]


class PanicException(BaseException):
    """What a panic in Rust looks like."""


class Panicking:
    """Agrees while it is checked, and panics later."""

    def __init__(self, path: Path) -> None:
        self.fast = tokie.Tokenizer.from_json(str(path))
        self.calls = 0

    def count_tokens_batch(self, texts: list[str]) -> list[int]:
        self.calls += 1
        if self.calls > 1:
            raise PanicException
        return self.fast.count_tokens_batch(texts)


@pytest.mark.parametrize("make", [byte_level, normalized])
def test_an_engine_that_disagrees_when_loading_is_never_asked_again(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path) / "tokenizer.json"
    counter = TokenCounter(Tokenizer.from_file(str(path)), Miscounting())  # type: ignore[arg-type]
    assert counter.engine is (CountingEngine.PIECES if make is byte_level else CountingEngine.TOKENIZERS)
    assert counter.count(TEXTS).tolist() == oracle(path, TEXTS)


def test_pieces_that_disagree_when_loading_are_never_cut_again(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = token_counts._kinds(caseless=False, composed=False).copy()
    kinds[ord("녕")] = Kind.NUMBER
    monkeypatch.setattr(token_counts, "_kinds", lambda **_: kinds)
    counter = TokenCounter.load(trained)
    assert counter.engine is CountingEngine.TOKIE
    assert counter.count(TEXTS).tolist() == oracle(trained / "tokenizer.json", TEXTS)


def test_a_panic_in_the_fast_engine_costs_time_and_nothing_else(trained: Path) -> None:
    path = trained / "tokenizer.json"
    panicking = Panicking(path)
    counter = TokenCounter(Tokenizer.from_file(str(path)), panicking)  # type: ignore[arg-type]
    assert panicking.calls > 1
    assert counter.count(TEXTS).tolist() == oracle(path, TEXTS)


def test_the_libraries_count_while_another_thread_holds_the_table(trained: Path) -> None:
    """So does a process that was forked meanwhile, in which the table is never let go of."""
    counter = TokenCounter.load(trained)
    with counter._busy:
        assert counter.count(TEXTS).tolist() == oracle(trained / "tokenizer.json", TEXTS)


def test_many_threads_count_alike(trained: Path) -> None:
    counter, expected = TokenCounter.load(trained), oracle(trained / "tokenizer.json", TEXTS)
    counts: list[list[int]] = []
    threads = [threading.Thread(target=lambda: counts.append(counter.count(TEXTS).tolist())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [expected] * 4


def test_padding_and_truncation_of_the_file_do_not_count(trained: Path, tmp_path: Path) -> None:
    content = json.loads((trained / "tokenizer.json").read_text())
    content["truncation"] = {"max_length": 4, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    content["padding"] = {
        "strategy": {"Fixed": 50},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<|im_end|>",
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert TokenCounter.load(tmp_path).count(TEXTS).tolist() == oracle(trained / "tokenizer.json", TEXTS)


def test_a_lone_surrogate_counts_as_the_replacement_character(trained: Path) -> None:
    counter = TokenCounter.load(trained)
    assert counter.count(["disk \ud800 full", "ok"]).tolist() == counter.count(["disk \ufffd full", "ok"]).tolist()
    assert counter.count(["\ud83d\ude00"]).tolist() == counter.count(["😀"]).tolist()


def test_no_texts_have_no_counts(trained: Path) -> None:
    assert TokenCounter.load(trained).count([]).shape == (0,)


def test_a_folder_without_a_tokenizer_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"dataset\.tokenizer-not-found"):
        TokenCounter.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 7}')
    with pytest.raises(Invalid, match=r"dataset\.tokenizer-unreadable"):
        TokenCounter.load(tmp_path)
