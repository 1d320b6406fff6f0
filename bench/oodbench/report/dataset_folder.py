"""The numbers as a data set in a folder, as Hugging Face's hub and `datasets.load_dataset` read it, with Croissant.

README.md           the data set's card: a configuration a matrix, and one of all
data/<matrix>.parquet
croissant.json      Croissant 1.0: every file with its sha256, every column with its type and meaning
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oodbench import __version__
from oodbench.report.bibtex import AUTHORS, RELEASED, TITLE, of_release
from oodbench.report.values import COLUMNS
from oodbench.store import atomically, file_sha256

MEANING = {
    "id": "Permanent id of the number: matrix/method@version#kind/set/metric.",
    "matrix": "Matrix of an in-set, failure sets, attacks and seeds; its name holds its version.",
    "method": "Detector, or detector@model on a given model.",
    "version": "Of all that the scores come from; empty where the seeds of a row are of several.",
    "kind": "Kind of failure, or model: what the row stands on.",
    "set": "Failure set, mean over all sets, or mean:group over those of a group.",
    "metric": "Name of the metric, as docs/metrics.md defines it.",
    "mean": "Mean over seeds; shares in [0, 1].",
    "std": "Standard deviation over seeds, n - 1 in the denominator; empty for one seed.",
    "n": "Number of seeds.",
    "low": "Lower end of the 95 % interval, of a single seed.",
    "high": "Upper end of it.",
    "n_good": "Fewest good inputs at any seed.",
    "n_bad": "Fewest bad inputs at any seed.",
    "rank": "Place by the mean over all sets among all rows of the matrix.",
    "rank_low": "Lower end of the 95 % interval of the true rank.",
    "rank_high": "Upper end of it.",
    "may_be_best": "Whether no other row is significantly better.",
    "title": "Name of the method for people.",
    "tuning_access": "The most telling held-out data that the method has seen.",
    "paper": "Address of the method's paper.",
}
"""What each column holds."""

LICENCE = "apache-2.0"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The JSON-LD context of Croissant 1.0, as its specification gives it."""

TYPES = {"str": "sc:Text", "float64": "sc:Float", "int64": "sc:Integer", "Int64": "sc:Integer", "boolean": "sc:Boolean"}


def write_dataset(table: pd.DataFrame, out: Path) -> None:
    """Write a table of numbers as a data set below the folder `out`."""
    names = list(dict.fromkeys(table["matrix"]))
    for name in names:
        own = pa.Table.from_pandas(table[table["matrix"] == name], preserve_index=False).replace_schema_metadata()
        with atomically(out / "data" / f"{name}.parquet") as temporary:
            pq.write_table(own, temporary, compression="zstd", store_schema=False)
    for name, text in (("README.md", _card(table, names)), ("croissant.json", _croissant(out, names))):
        with atomically(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _card(table: pd.DataFrame, names: list[str]) -> str:
    """Return the data set's card; its head is YAML, which JSON is a part of."""
    configs = [{"config_name": "all", "default": True, "data_files": "data/*.parquet"}]
    configs += [{"config_name": name, "data_files": f"data/{name}.parquet"} for name in names]
    tags = ["out-of-distribution", "benchmark"]
    head = {"license": LICENCE, "pretty_name": "oodbench", "tags": tags, "configs": configs}
    yaml = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
    columns = "\n".join(f"| `{name}` | {MEANING[name]} |" for name in table.columns)
    return (
        f"---\n{yaml}\n---\n\n# Numbers of oodbench {__version__}\n\n{TITLE}: {len(table):,} numbers of "
        f"{table['method'].nunique()} rows on {len(names)} matrices, each computed from stored scores.\n\n"
        '```python\nfrom datasets import load_dataset\n\nnumbers = load_dataset("PATH", "all", split="train")\n```\n\n'
        f"| column | |\n|:--|:--|\n{columns}\n\n```bibtex\n{of_release()}\n```\n"
    )


def _croissant(out: Path, names: list[str]) -> str:
    said: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": "oodbench-numbers",
        "description": f"Every number of the leaderboard of oodbench {__version__}, recomputed from stored scores.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "https://spdx.org/licenses/Apache-2.0.html",
        "url": "https://pypi.org/project/oodbench/",
        "version": __version__,
        "creator": {"@type": "sc:Organization", "name": AUTHORS},
        "citeAs": of_release(),
        "distribution": [_file(out, name) for name in names],
        "recordSet": [_records(name) for name in names],
    }
    if RELEASED:
        said["datePublished"] = RELEASED
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def _file(out: Path, name: str) -> dict[str, Any]:
    path = out / "data" / f"{name}.parquet"
    return {
        "@type": "cr:FileObject",
        "@id": f"{name}.parquet",
        "name": f"{name}.parquet",
        "contentUrl": f"data/{name}.parquet",
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": file_sha256(path),
    }


def _records(name: str) -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{column}",
            "name": column,
            "description": MEANING[column],
            "dataType": TYPES[kind],
            "source": {"fileObject": {"@id": f"{name}.parquet"}, "extract": {"column": column}},
        }
        for column, kind in COLUMNS.items()
    ]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "key": {"@id": f"{name}/id"}, "field": fields}
