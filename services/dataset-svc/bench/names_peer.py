# ruff: noqa: INP001 (a script that runs in an environment of its own)
"""A peer of `names.py`: ko-pii, whose detectors say where something personal stands; and the corpus that its authors wrote.

Run by that script and `personal_data.py`: python names_peer.py find < TEXTS.json, or python names_peer.py documents < NUMBER; prints JSON.
"""

import json
import sys

from ko_pii import detect_all
from ko_pii.eval.synth import generate_corpus


def main() -> None:
    given = json.load(sys.stdin)
    if sys.argv[1] == "find":
        found = [[(one.label, one.start, one.end) for one in detect_all(text)] for text in given]
    else:
        found = [
            {"text": made.text, "spans": [(span.label, span.start, span.end) for span in made.spans]}
            for made in generate_corpus(given, seed=1)
        ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
