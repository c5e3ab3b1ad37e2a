"""The one error tree. `problems.py` maps it to HTTP, `broker.py` to retry, dead letter or stop.

PlatformError
├─ RuleRefused      an expected "no":  NotFound · Conflict · NotPermitted · NotAuthenticated · Expired · Invalid · TooLarge
│                                       · RateLimited
├─ DependencyError  try again later:   StoreUnavailable · BrokerUnavailable · TrackingUnavailable · ServingUnavailable
├─ ContractError    cannot be read:    UnknownEvent · InvalidPayload
└─ OutOfOrder       speaks of something whose own event has not arrived yet
"""

from functools import partial
from typing import Self

Fact = str | int | float | bool | None


class PlatformError(Exception):
    """Base of everything that the platform raises on purpose.

    Args:
        code: Stable machine-readable code such as `dataset.version-not-found`.
        detail: One sentence for a person; never a secret, never a stack trace.
        facts: Typed values that the sentence speaks of, for programs.
    """

    def __init__(self, code: str, detail: str, **facts: Fact) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.facts = facts

    def __reduce__(self) -> tuple[partial[Self], tuple[str, str]]:
        """As it crosses from a process to another: exceptions are made anew of `args`, which holds the message only."""
        return partial(type(self), **self.facts), (self.code, self.detail)


class RuleRefused(PlatformError):
    """A rule said no; repeating the request unchanged gives the same answer."""


class NotFound(RuleRefused):
    pass


class Conflict(RuleRefused):
    pass


class NotPermitted(RuleRefused):
    pass


class NotAuthenticated(RuleRefused):
    """Nobody, or nobody that we can believe, is asking."""


class Expired(RuleRefused):
    pass


class Invalid(RuleRefused):
    """The request is well-formed JSON but breaks a rule of its own schema."""


class TooLarge(RuleRefused):
    """It has more bytes than are taken."""


class RateLimited(RuleRefused):
    """More than somebody may ask; the fact `retry_after_s` says when to come back."""


class DependencyError(PlatformError):
    """Another part is away; the same request may succeed later."""


class StoreUnavailable(DependencyError):
    pass


class BrokerUnavailable(DependencyError):
    pass


class TrackingUnavailable(DependencyError):
    pass


class ServingUnavailable(DependencyError):
    pass


class ContractError(PlatformError):
    """What arrived cannot be read as what its topic promises."""


class UnknownEvent(ContractError):
    pass


class InvalidPayload(ContractError):
    pass


class OutOfOrder(PlatformError):
    """An event speaks of something that is not known yet: it is tried again, and set aside if that stays so."""
