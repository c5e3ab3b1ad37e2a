"""What can go wrong with servers of models and with the spool."""

from loopwright.errors import BrokerUnavailable, ServingUnavailable


class SpoolFull(BrokerUnavailable):
    """Kafka has been away for so long that the spool's limit is reached, or the disk took nothing."""


class BackendFailed(ServingUnavailable):
    """No server began an answer."""


class EndpointUnserved(BackendFailed):
    """Every server that was asked lacks the endpoint, or the model there; none has failed."""
