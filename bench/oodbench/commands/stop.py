"""What ends a run from outside, and what is said then."""

AGAIN = "what is done is kept: the same command goes on from there"


class Terminated(BaseException):
    """SIGTERM came."""
