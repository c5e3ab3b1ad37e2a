"""Inference ids: signed and self-describing, so that a rating is attributed without a look-up and cannot be forged.

`inf_` + base64url of: format (1 byte), time (6, milliseconds), nonce (6), unit hash (16), task version (4),
names (up to 98), HMAC-SHA256 cut to 16 bytes (RFC 2104, section 5). At most 200 characters.
"""

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass
from hashlib import blake2b

from loopwright.errors import Expired, NotPermitted
from router_svc.domain.packing import pack_names, unpack_names

PREFIX = "inf_"
NONCE_BYTES = 6
_FORMAT = 1
_MAC_BYTES = 16
_UNIT_BYTES = 16
_FIXED = struct.Struct(f">B6s{NONCE_BYTES}s{_UNIT_BYTES}sI")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceFacts:
    """What an inference id says.

    Attributes:
        experiment_id: None if no experiment assigned the variant.
        variant_id: The assigned variant, which analysis counts (intention to treat).
        unit_hash: 32 hexadecimal digits.
        issued_ms: Milliseconds since 1970, UTC.
    """

    task_id: str
    task_version: int
    experiment_id: str | None
    variant_id: str
    unit_hash: str
    issued_ms: int


class InferenceIds:
    """Signs and reads ids, and hashes units, with keys drawn from one secret.

    Args:
        secret: At least 32 bytes; a new secret makes every earlier id a forged one.
    """

    def __init__(self, secret: bytes) -> None:
        self._signing_key = hmac.digest(secret, b"loopwright inference id", "sha256")
        self._unit_key = hmac.digest(secret, b"loopwright unit hash", "sha256")

    def hash_unit(self, unit: str) -> str:
        """Names a unit, or a rater, without saying who it is: 32 hexadecimal digits."""
        unit_bytes = unit.encode("utf-8", "surrogatepass")
        return blake2b(unit_bytes, digest_size=_UNIT_BYTES, key=self._unit_key).hexdigest()

    def sign(self, facts: InferenceFacts, *, nonce: bytes) -> str:
        """Makes the id; `nonce` is NONCE_BYTES of randomness that tell two requests of one millisecond apart."""
        content = _FIXED.pack(
            _FORMAT, facts.issued_ms.to_bytes(6, "big"), nonce, bytes.fromhex(facts.unit_hash), facts.task_version
        ) + pack_names((facts.task_id, facts.experiment_id or "", facts.variant_id))
        return PREFIX + base64.urlsafe_b64encode(content + self._mac(content)).rstrip(b"=").decode()

    def read(self, text: str, *, now_ms: int, max_age_ms: int) -> InferenceFacts:
        """Reads an id.

        Raises:
            NotPermitted: we did not sign it.
            Expired: it is older than `max_age_ms`.
        """
        content = self._verified(text)
        _, time, _, unit, task_version = _FIXED.unpack_from(content)
        task_id, experiment_id, variant_id = unpack_names(content[_FIXED.size :])
        issued_ms = int.from_bytes(time, "big")
        if now_ms - issued_ms > max_age_ms:
            raise Expired("rating.id-expired", "the inference is too old to be rated", issued_ms=issued_ms)
        return InferenceFacts(
            task_id=task_id,
            task_version=task_version,
            experiment_id=experiment_id or None,
            variant_id=variant_id,
            unit_hash=unit.hex(),
            issued_ms=issued_ms,
        )

    def _verified(self, text: str) -> bytes:
        signed = _decode_canonical(text)
        content, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
        known = len(content) > _FIXED.size and content[0] == _FORMAT
        if not (hmac.compare_digest(mac, self._mac(content)) and known):
            raise NotPermitted("rating.forged-id", "the inference id was not issued here, or was changed")
        return content

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._signing_key, content, "sha256")[:_MAC_BYTES]


def _decode_canonical(text: str) -> bytes:
    """Bytes of an id, or nothing unless it is written the one way in which we write it.

    Decoders skip foreign characters and ignore the last character's unused bits; one id would have many spellings.
    """
    body = text.removeprefix(PREFIX)
    try:
        signed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return b""
    return signed if PREFIX + base64.urlsafe_b64encode(signed).rstrip(b"=").decode() == text else b""
