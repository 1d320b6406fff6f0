"""Print what the extra `docs` of pyproject.toml asks for: `make docs` installs that, and neither torch nor oodbench."""

import tomllib
from pathlib import Path

if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    print(*(f"'{one}'" for one in project["optional-dependencies"]["docs"]))
