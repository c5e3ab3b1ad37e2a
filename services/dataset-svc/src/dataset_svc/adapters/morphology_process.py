"""The process that holds the Korean analyser (half a gigabyte): frames of texts in, frames of morphemes out, until end of input."""

import struct
import sys
from typing import cast

import msgspec
from kiwipiepy import Kiwi, Token

from dataset_svc.adapters.limited_process import limit_this_process
from dataset_svc.domain.texts.morphemes import Morpheme

_MEMORY_BYTES = 3 << 30
_HEADER = struct.Struct(">I")


def main() -> None:
    limit_this_process(memory_bytes=_MEMORY_BYTES, cpu_s=None)
    analyser = Kiwi(num_workers=1)
    texts_in = msgspec.json.Decoder(tuple[str, ...])
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while header := source.read(_HEADER.size):
        texts = texts_in.decode(source.read(_HEADER.unpack(header)[0]))
        found = [_morphemes(analyser, text) for text in texts]
        answer = msgspec.json.encode(found)
        target.write(_HEADER.pack(len(answer)) + answer)
        target.flush()


def _morphemes(analyser: Kiwi, text: str) -> list[Morpheme]:
    tokens = cast("list[Token]", analyser.tokenize(text))  # one text gives one list
    return [Morpheme(form=token.form, tag=token.tag) for token in tokens]


if __name__ == "__main__":
    main()
