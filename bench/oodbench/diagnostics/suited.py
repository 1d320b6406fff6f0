"""The method that a diagnostic is made of, or those that it can be made of."""

from collections.abc import Callable

from oodbench.contract import Method
from oodbench.errors import BadSetting
from oodbench.run.registry import find, registry


def suited(name: str, suits: Callable[[Method], bool], lacks: str) -> Method:
    """Return a method by name, if a diagnostic can be made of it.

    Args:
        name: Its name.
        suits: Whether the diagnostic can be made of a method.
        lacks: What is said of one of which it cannot, after its name.

    Raises:
        UnknownName: no such method.
        BadSetting: the diagnostic cannot be made of it; those of which it can are named.

    Example:
        >>> suited("glow", lambda method: method.family == "generative", "is no generative model").name
        'glow'
    """
    (entry,) = find([name])
    if not suits(entry.method):
        known = ", ".join(other for other, one in registry().items() if suits(one.method))
        raise BadSetting(f"{name} {lacks}; expected one of {known}")
    return entry.method
