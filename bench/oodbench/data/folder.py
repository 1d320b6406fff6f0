"""Where the files of cards lie."""

from functools import cache
from pathlib import Path


def cards_folder() -> Path:
    """Return the folder of the cards: `oodbench/cards` in an installed wheel, `datasets` beside `bench` in a checkout.

    The wheel's copy is asked first: beside an installed `oodbench`, `datasets` is the Hugging Face library.
    """
    return _cards_of(__file__)


@cache
def _cards_of(module: str) -> Path:
    package = Path(module).resolve().parents[1]
    installed = package / "cards"
    return installed if installed.is_dir() else package.parents[1] / "datasets"


def toml_files(folder: Path) -> list[Path]:
    """Return the TOML files of a folder, sorted; hidden ones (`._card.toml`) are litter."""
    return sorted(folder.glob("[!.]*.toml"))
