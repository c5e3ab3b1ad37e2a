"""What can go wrong before or while the local stack runs; every message names its remedy."""


class LocalError(Exception):
    """The stack cannot start or go on; the message is for a person."""


class Missing(LocalError):
    """A program, an environment or a file that `make setup` or apt provides is not there."""


class PortTaken(LocalError):
    """A port that a part wants is used by somebody else."""


class AlreadyRunning(LocalError):
    """Another supervisor holds the same folder."""


class PartFailed(LocalError):
    """A part could not be started, or died too often."""
