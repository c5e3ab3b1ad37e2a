# ruff: noqa: INP001 (a script that runs in an environment of its own)
"""The peer of `personal_data.py`: Presidio with its recognisers of patterns alone, for Korea and in general.

Run by that script: python personal_data_peer.py TEXTS.json; prints one line of JSON with seconds and findings.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IpRecognizer,
    KrBrnRecognizer,
    KrDriverLicenseRecognizer,
    KrFrnRecognizer,
    KrPassportRecognizer,
    KrRrnRecognizer,
    PhoneRecognizer,
)

_LANGUAGE = "ko"


class NoLanguage(NlpEngine):
    """No model: patterns need none, and every model would be slower."""

    def load(self) -> None:
        return

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:  # noqa: ARG002 - an interface
        return NlpArtifacts([], [], [], [], self, language)

    def process_batch(self, texts: Sequence[str], language: str, **_: object) -> Iterator[tuple[str, NlpArtifacts]]:
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:  # noqa: ARG002 - an interface
        return False

    def is_punct(self, word: str, language: str) -> bool:  # noqa: ARG002 - an interface
        return False

    def get_supported_entities(self) -> list[str]:
        return []

    def get_supported_languages(self) -> list[str]:
        return [_LANGUAGE]


def engine() -> AnalyzerEngine:
    recognisers = [
        CreditCardRecognizer(supported_language=_LANGUAGE),
        EmailRecognizer(supported_language=_LANGUAGE),
        IpRecognizer(supported_language=_LANGUAGE),
        PhoneRecognizer(supported_language=_LANGUAGE, supported_regions=("KR", "US")),
        KrBrnRecognizer(),
        KrDriverLicenseRecognizer(),
        KrFrnRecognizer(),
        KrPassportRecognizer(),
        KrRrnRecognizer(),
    ]
    registry = RecognizerRegistry(recognizers=recognisers, supported_languages=[_LANGUAGE])
    return AnalyzerEngine(registry=registry, nlp_engine=NoLanguage(), supported_languages=[_LANGUAGE])


def main() -> None:
    logging.disable(logging.WARNING)
    texts = json.loads(Path(sys.argv[1]).read_text())
    analyser = engine()
    analyser.analyze(texts[0], language=_LANGUAGE)
    began = time.perf_counter()
    found = sum(len(analyser.analyze(text, language=_LANGUAGE)) for text in texts)
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "found": found}) + "\n")


if __name__ == "__main__":
    main()
