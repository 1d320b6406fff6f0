"""One figure, one PNG: the same numbers make the same pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from oodbench.store import atomically


def draw(drawing: Callable[[Any], None], path: Path, title: str) -> Path:
    """Write the figure that a drawing fills; return its path."""
    figure = Figure(layout="constrained", dpi=200)
    FigureCanvasAgg(figure)
    with mpl.rc_context({"font.size": 9}):
        figure.suptitle(title)
        drawing(figure)
        with atomically(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": "oodbench"})
    return path
