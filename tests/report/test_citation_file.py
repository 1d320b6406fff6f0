"""CITATION.cff: a complete file of format 1.2.0 that says what the package says."""

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from oodbench import __version__
from oodbench.report.bibtex import AUTHORS, RELEASED, TITLE

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "title", "type", "url", "version"),
}
"""Of format 1.2.0."""

COMPLETE = {"abstract", "authors", "cff-version", "keywords", "license", "message", "title", "type", "version"}


@pytest.fixture(scope="module")
def file() -> dict:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_it_has_every_field_that_a_release_can_fill_and_no_other(file) -> None:
    assert file.keys() >= COMPLETE
    assert file.keys() <= KEYS
    assert file["cff-version"] == "1.2.0"
    assert file["type"] == "software"
    assert len(set(file["keywords"])) == len(file["keywords"])
    assert all(isinstance(file[key], str) and file[key].strip() for key in COMPLETE - {"authors", "keywords"})
    known = {"name", "family-names", "given-names", "orcid", "affiliation"}
    assert all(set(author) <= known for author in file["authors"])


def test_it_says_what_the_package_says(file) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert file["version"] == __version__ == project["version"]
    assert file["license"] == project["license"]
    assert file["title"] == TITLE
    assert [author["name"] for author in file["authors"]] == [AUTHORS]
    assert file.get("date-released") == RELEASED
    assert RELEASED is None or re.fullmatch(r"\d{4}-\d{2}-\d{2}", RELEASED)


def test_the_schema_of_its_format_accepts_it(file) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    pytest.importorskip("cffconvert", reason="cffconvert, which carries the schema of CFF 1.2.0, is not installed")
    schema = json.loads((files("cffconvert") / "schemas/1.2.0/schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(file, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file | {"licence": "no such key"}, schema)
