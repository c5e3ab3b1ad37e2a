"""What the stock libraries take for some of the stages of a build, each by itself on the same rows.

Parsing (`json`), exact tokens (Hugging Face `tokenizers`), personal data (Presidio's patterns, no names) and near-duplicates
(datasketch in bulk, two processes). They get fewer rows, and their seconds are taken to grow with the rows.

Run by `ingest.py`: python stock_libraries.py CORPUS.jsonl ROWS PEERS_PYTHON TOKENIZER_FOLDER; prints seconds by library as JSON.
"""
# ruff: noqa: INP001 - a script beside the package

import json
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

_CORES = 2
_FEW, _SOME = 2_000, 20_000  # rows


def seconds_on_two_cores(corpus: Path, *, rows: int, peers: Path, tokenizer: Path) -> dict[str, float]:
    """Seconds for so many rows, by library; one that runs on one core is taken to be twice as fast on two."""
    with corpus.open("rb") as file:
        lines = list(islice(file, _SOME))
    began = time.process_time()
    parsed = [json.loads(line) for line in lines]
    parsing_s = time.process_time() - began
    texts = ["\n".join(turn["content"] for turn in row["messages"]) for row in parsed]
    few = texts[:_FEW]
    path = corpus.with_name("stock.parquet")
    pq.write_table(pa.table({"text": pa.array(texts, type=pa.large_string())}), path)
    seconds_a_row = {
        "json": parsing_s / len(lines) / _CORES,
        "tokenizers": _token_seconds(few, tokenizer) / len(few) / _CORES,
        "presidio": _peer(peers, "personal_data_peer.py", _as_json(few, corpus)) / len(few) / _CORES,
        "datasketch": _peer(peers, "near_duplicate_peers.py", "datasketch", str(path)) / len(texts),
    }
    return {name: each * rows for name, each in seconds_a_row.items()}


def _token_seconds(texts: list[str], tokenizer: Path) -> float:
    """Of the processor, all threads together."""
    reference = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    began = time.process_time()
    reference.encode_batch_fast(texts, add_special_tokens=False)
    return time.process_time() - began


def _as_json(texts: list[str], beside: Path) -> str:
    path = beside.with_name("stock.json")
    path.write_text(json.dumps(texts))
    return str(path)


def _peer(python: Path, script: str, *arguments: str) -> float:
    command = (str(python), str(Path(__file__).with_name(script)), *arguments)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - the peers' own Python
    return json.loads(done.stdout)["seconds"]


def main() -> None:
    corpus, rows, peers, tokenizer = sys.argv[1:]
    seconds = seconds_on_two_cores(Path(corpus), rows=int(rows), peers=Path(peers), tokenizer=Path(tokenizer))
    sys.stdout.write(json.dumps(seconds))


if __name__ == "__main__":
    main()
