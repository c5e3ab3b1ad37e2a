"""Inference ids: signed and self-describing, so that a rating is attributed without a look-up and cannot be forged.

`inf_` + base64url of: format (1 byte), time (6, milliseconds), nonce (5), unit hash (16), tenant (4), task version (4),
epoch (2), arm (1), names (up to 96), keyed BLAKE2b (12; RFC 7693, which needs no HMAC around it, and takes half the time
of HMAC-SHA256). At most 200 characters.
"""

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from loopwright.errors import Expired, NotPermitted
from router_svc.domain.packing import pack_names, unpack_names

PREFIX = "inf_"
NONCE_BYTES: Final = 5
MOST_EPOCHS = 0xFFFF
_FORMAT = 2
_MAC_BYTES = 12
_UNIT_BYTES = 16
_TENANT_BYTES = 4
NO_TENANT: Final = bytes(_TENANT_BYTES)
_NO_ARM = 0xFF
_FIXED = struct.Struct(f">BHI{NONCE_BYTES}s{_UNIT_BYTES}s{_TENANT_BYTES}sIHB")  # time: two and four bytes
_ORIGIN = struct.Struct(">IHB")
_HEAD: Final = bytes([_FORMAT])
_base64: Final = binascii.b2a_base64
_TIME_BYTES: Final = 6
_PREFIX: Final = PREFIX.encode()
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceFacts:
    """What an inference id says.

    Attributes:
        experiment_id: None if no experiment assigned the variant.
        variant_id: The assigned variant, which analysis counts (intention to treat).
        unit_hash: 32 hexadecimal digits.
        issued_ms: Milliseconds since 1970, UTC.
        epoch: Of the experiment.
        arm: Number of the experiment's arm.
        tenant_hash: Who may rate; as `hash_tenant` makes it.
    """

    task_id: str
    task_version: int
    experiment_id: str | None
    variant_id: str
    unit_hash: str
    issued_ms: int
    epoch: int | None = None
    arm: int | None = None
    tenant_hash: bytes = NO_TENANT


class InferenceIds:
    """Signs and reads ids, and hashes units, with keys drawn from one secret.

    Args:
        secret: At least 32 bytes; a new secret makes every earlier id a forged one.
    """

    def __init__(self, secret: bytes) -> None:
        signing_key = hmac.digest(secret, b"loopwright inference id", "sha256")
        unit_key = hmac.digest(secret, b"loopwright unit hash", "sha256")
        # a copy of a keyed hash costs less than to begin one with the key
        self._signature = blake2b(digest_size=_MAC_BYTES, key=signing_key)
        self._unit_hash = blake2b(digest_size=_UNIT_BYTES, key=unit_key)
        self._tenant_key = hmac.digest(secret, b"loopwright tenant hash", "sha256")
        self._hash_tenant = lru_cache(maxsize=4096)(self._hash_tenant_anew)

    def hash_unit(self, unit: str) -> str:
        """Names a unit, or a rater, without saying who it is: 32 hexadecimal digits."""
        unit_hash = self._unit_hash.copy()
        unit_hash.update(unit.encode("utf-8", "surrogatepass"))
        return unit_hash.hexdigest()

    def hash_tenant(self, tenant: str | None) -> bytes:
        """Four bytes for a tenant's name: no more is needed, as a wrong tenant would have to hold the signed id too."""
        return NO_TENANT if tenant is None else self._hash_tenant(tenant)

    def sign(self, facts: InferenceFacts, *, nonce: bytes) -> str:
        """Makes the id of whatever facts, as `issue` does."""
        origin = origin_of(
            facts.task_id, facts.task_version, facts.experiment_id, facts.variant_id, epoch=facts.epoch, arm=facts.arm
        )
        unit = bytes.fromhex(facts.unit_hash)
        return self.issue(origin, unit=unit, tenant_hash=facts.tenant_hash, issued_ms=facts.issued_ms, nonce=nonce)

    def issue(self, origin: bytes, *, unit: bytes, tenant_hash: bytes, issued_ms: int, nonce: bytes) -> str:
        """Makes the id of a request.

        Args:
            origin: As `origin_of` makes it, once for all requests that are answered alike.
            unit: Hash of the unit.
            nonce: NONCE_BYTES of randomness that tell two requests of one millisecond apart.
        """
        content = b"".join((_HEAD, issued_ms.to_bytes(_TIME_BYTES), nonce, unit, tenant_hash, origin))
        signature = self._signature.copy()
        signature.update(content)
        text = _base64(content + signature.digest(), newline=False).translate(_URL_SAFE)
        return (_PREFIX + text.rstrip(b"=")).decode()

    def read(self, text: str, *, now_ms: int, max_age_ms: int, tenant: str | None = None) -> InferenceFacts:
        """Reads an id for somebody of a tenant.

        Raises:
            NotPermitted: we did not sign it, or signed it for another tenant.
            Expired: it is older than `max_age_ms`.
        """
        content = self._verified(text)
        _, high, low, _, unit, tenant_hash, task_version, epoch, arm = _FIXED.unpack_from(content)
        task_id, experiment_id, variant_id = unpack_names(content[_FIXED.size :])
        if tenant_hash != self.hash_tenant(tenant):
            raise NotPermitted("rating.other-tenant", "the inference was made for another tenant")
        issued_ms = high << 32 | low
        if now_ms - issued_ms > max_age_ms:
            raise Expired("rating.id-expired", "the inference is too old to be rated", issued_ms=issued_ms)
        return InferenceFacts(
            task_id=task_id,
            task_version=task_version,
            experiment_id=experiment_id or None,
            variant_id=variant_id,
            unit_hash=unit.hex(),
            issued_ms=issued_ms,
            epoch=epoch or None,
            arm=None if arm == _NO_ARM else arm,
            tenant_hash=tenant_hash,
        )

    def _verified(self, text: str) -> bytes:
        signed = _decode_canonical(text)
        content, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
        known = len(content) > _FIXED.size and content[0] == _FORMAT
        if not (hmac.compare_digest(mac, self._mac(content)) and known):
            raise NotPermitted("rating.forged-id", "the inference id was not issued here, or was changed")
        return content

    def _mac(self, content: bytes) -> bytes:
        signature = self._signature.copy()
        signature.update(content)
        return signature.digest()

    def _hash_tenant_anew(self, tenant: str) -> bytes:
        digest = blake2b(
            tenant.encode("utf-8", "surrogatepass"), digest_size=_TENANT_BYTES, key=self._tenant_key
        ).digest()
        return digest if digest != NO_TENANT else b"\0\0\0\1"


def origin_of(
    task_id: str, task_version: int, experiment_id: str | None, variant_id: str, *, epoch: int | None, arm: int | None
) -> bytes:
    """What the ids of all requests have in common that are answered alike: the end of their contents."""
    packed = _ORIGIN.pack(task_version, epoch or 0, _NO_ARM if arm is None else arm)
    return packed + pack_names((task_id, experiment_id or "", variant_id))


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
