"""Methods whose training or fit takes long, with less of it; rows that are not twins of others."""

from dataclasses import replace

from oodbench.contract import Method
from oodbench.run.registry import registry


def unlike() -> list[str]:
    """Return the names of rows but for those that differ from an earlier one of their file in parameters alone."""
    rows: dict[object, str] = {}
    for name, entry in registry().items():
        method = entry.method
        rows.setdefault((entry.module, type(method.recipe), type(method.detector), bool(method.search)), name)
    return list(rows.values())


def brief(method: Method, most: int) -> Method:
    """Return the method, its fit cut to so many steps where it takes more."""
    steps = method.detector.__dict__.get("steps")
    cut = isinstance(steps, int) and steps > most
    return replace(method, detector=replace(method.detector, steps=most)) if cut else method


def small(method: Method) -> Method:
    """Return the method, an ensemble of two where it is one of more; a fit of many steps has 400, in narrow layers."""
    had, parts = method.detector.__dict__, method.recipe.parts(0, (0,))
    less = {"hidden": min(had["hidden"], 32), "latent": min(had["latent"], 4), "rate": 0.01} if "latent" in had else {}
    short = brief(method, most=400)
    recipe = replace(method.recipe, M=2) if len(parts) > 2 else method.recipe
    return replace(short, detector=replace(short.detector, **less), recipe=recipe)
