"""Names to complete, without a wait: read from names of files and from `methods/rows.csv`, and nothing checked."""

from functools import cache


def methods() -> tuple[str, ...]:
    """Return the names of this repository's methods."""
    from oodbench.listed import rows

    return tuple(line.name for line in rows())


def judges_mine() -> tuple[str, ...]:
    """Return the names of methods that judge a given classifier."""
    from oodbench.listed import rows

    return tuple(line.name for line in rows() if line.judges_mine)


@cache
def matrices() -> tuple[str, ...]:
    """Return the names of matrices."""
    from oodbench.data.folder import cards_folder, toml_files

    return tuple(path.stem for path in toml_files(cards_folder() / "matrices"))


def cards() -> tuple[str, ...]:
    """Return the names of data sets."""
    from oodbench.data.folder import cards_folder, toml_files

    return tuple(path.stem for path in toml_files(cards_folder()) if path.stem != "attacks")


def cards_and_matrices() -> tuple[str, ...]:
    """Return what `oodbench data get` takes."""
    return cards() + matrices()


def attacks() -> tuple[str, ...]:
    """Return the names of attacks."""
    import tomllib

    from oodbench.data.folder import cards_folder

    content = tomllib.loads((cards_folder() / "attacks.toml").read_text(encoding="utf-8"))
    return tuple(one["name"] for one in content["attacks"])


def diagnostics() -> tuple[str, ...]:
    """Return the names of diagnostics."""
    from oodbench.report.diagnostics import names

    return names()
