# ruff: noqa: INP001, PLC0415 (a script that runs in an environment of its own, one library at a time)
"""The peers of `near_duplicates.py`, each from texts to rows to remove, at 16 bands of 8 rows over word 3-grams.

Run by that script: python near_duplicate_peers.py PEER TEXTS.parquet; prints one line of JSON with seconds and rows.
"""

import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from typing import Final

PERMUTATIONS: Final = 128
BANDS: Final = 16
THRESHOLD: Final = 0.7
_CHUNK: Final = 2_000


def shingles(text: str) -> list[str]:
    words = text.lower().split()
    return [" ".join(words[place : place + 3]) for place in range(max(1, len(words) - 2))]


def _signatures(texts: Sequence[str]) -> "list[object]":
    import xxhash
    from datasketch import MinHash

    encoded = [[shingle.encode() for shingle in shingles(text)] for text in texts]
    return [
        sketch.hashvalues for sketch in MinHash.bulk(encoded, num_perm=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)
    ]


def datasketch(texts: Sequence[str]) -> list[int]:
    """Sketches by `MinHash.bulk` with the fastest hash function in two processes, the index in the parent."""
    from datasketch import MinHash, MinHashLSH

    chunks = [texts[first : first + _CHUNK] for first in range(0, len(texts), _CHUNK)]
    index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, PERMUTATIONS // BANDS))
    permutations = MinHash(num_perm=PERMUTATIONS).permutations
    removed: list[int] = []
    number = 0
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for signatures in pool.imap(_signatures, chunks):
            for signature in signatures:
                sketch = MinHash(hashvalues=signature, permutations=permutations, scheme="affine32")
                if index.query(sketch):
                    removed.append(number)
                else:
                    index.insert(number, sketch, check_duplication=False)
                number += 1
    return removed


def gaoya(texts: Sequence[str]) -> list[int]:
    """Its parallel bulk calls; RAYON_NUM_THREADS says how many threads."""
    from gaoya.minhash import MinHashStringIndex

    index = MinHashStringIndex(32, THRESHOLD, BANDS, PERMUTATIONS // BANDS, None, "word", True, (3, 3))
    index.par_bulk_insert_docs(list(range(len(texts))), texts)
    found = index.par_bulk_query(texts)
    return [number for number, others in enumerate(found) if any(other < number for other in others)]


def rensa(texts: Sequence[str]) -> list[int]:
    """Its de-duplicator, which keeps the first."""
    from rensa import RMinHashDeduplicator

    keeper = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=PERMUTATIONS, use_lsh=True, num_bands=BANDS, seed=42)
    removed: list[int] = []
    for first in range(0, len(texts), _CHUNK):
        chunk = texts[first : first + _CHUNK]
        fresh = keeper.add_pairs([(str(first + place), shingles(text)) for place, text in enumerate(chunk)])
        removed += [first + place for place, new in enumerate(fresh) if not new]
    return removed


PEERS: Final = {"datasketch": datasketch, "gaoya": gaoya, "rensa": rensa}


def main() -> None:
    import pyarrow.parquet

    peer, path = sys.argv[1:]
    texts: list[str] = pyarrow.parquet.read_table(path, columns=["text"]).column("text").to_pylist()
    PEERS[peer](texts[:100])  # imports and first calls are nobody's speed
    began = time.perf_counter()
    removed = PEERS[peer](texts)
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "removed": removed}) + "\n")


if __name__ == "__main__":
    main()
