# ruff: noqa: INP001 (a script that runs in an environment of its own)
"""The peer of `names.py`: ko-pii, whose detectors say where persons are named; and the corpus that its authors wrote.

Run by that script: python names_peer.py find < TEXTS.json, or python names_peer.py documents < NUMBER; prints JSON.
"""

import json
import sys

from ko_pii import detect_all
from ko_pii.eval.synth import generate_corpus

_PERSON = "PERSON"


def main() -> None:
    given = json.load(sys.stdin)
    if sys.argv[1] == "find":
        found = [[(one.start, one.end) for one in detect_all(text, include=[_PERSON])] for text in given]
    else:
        found = [
            {"text": made.text, "persons": [(span.start, span.end) for span in made.spans if span.label == _PERSON]}
            for made in generate_corpus(given, seed=1)
        ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
