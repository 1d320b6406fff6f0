"""Mutated files: each ends in a fault, or in none where nothing that counts has changed, in bounded time and memory."""

import json
import random
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.verify.made import MATRIX, make, sealed

from oodbench.data.matrix import find_matrix
from oodbench.declarations import facts
from oodbench.records import read_model, read_record
from oodbench.verify.entries import Folder, examine_folder
from oodbench.verify.examine import Against, cost_faults, model_faults, read, read_table, record_faults, score_faults
from oodbench.verify.pins import pins
from oodbench.verify.rest import rest, superseded_rows
from oodbench.verify.state import State
from oodbench.verify.tables import _metrics, _numbers
from oodbench.verify.walk import Tree, walk

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1 << 70, 1e308, -0.0, "", "x" * 5000, "<script>", "\ud800", "../..", [], {}, [[[]]]),
    *({"": None}, {"a": {"b": {"c": {}}}}, ["\x00"], "0" * 64, "2999-01-01T00:00:00Z", "NaN"),
)
"""Values that nobody expects."""


class Fuzz:
    """Files to mutate, and readers that must survive them."""

    def __init__(self, root: Path, folder: Path, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        self.matrix = find_matrix(MATRIX)
        self.home = folder / MATRIX / "msp"
        self.home.mkdir(parents=True)
        self.target = folder
        own = root / MATRIX
        self.record = read_record(own / "msp" / "0.json")
        self.model = read_model(own / "models" / "plain" / "0.json")
        self.outcomes = read_table(own / "models" / "plain" / "0.parquet", self.matrix, None, "outcomes").value
        tree = walk(root)
        self.whole: Folder = examine_folder(tree, State(None), superseded_rows(tree)[0], (), 1)
        bare = folder / "bare.parquet"  # without checksums of pages: mutations reach the decoder
        pq.write_table(pq.read_table(own / "msp" / "0.parquet"), bare, compression="snappy", store_schema=False)
        self.cases: tuple[tuple[bytes, Callable[[Path], Any], str], ...] = (
            ((own / "msp" / "0.json").read_bytes(), self.of_record, "0.json"),
            ((own / "models" / "plain" / "0.json").read_bytes(), self.of_model, "0.json"),
            ((own / "msp" / "0.cost.json").read_bytes(), self.of_cost, "0.cost.json"),
            ((own / "msp" / "0.parquet").read_bytes(), self.of_scores, "0.parquet"),
            (bare.read_bytes(), self.of_scores, "0.parquet"),
            ((own / "models" / "plain" / "0.parquet").read_bytes(), self.of_outcomes, "0.parquet"),
            ((root / "superseded.toml").read_bytes(), self.of_rest, "superseded.toml"),
            ((root / "metrics.parquet").read_bytes(), self.of_metrics, "metrics.parquet"),
        )

    def run(self, n: int) -> float:
        """Mutate and read n files; return the longest time that one took."""
        longest = 0.0
        for at in range(n):
            raw, take, name = self.cases[at % len(self.cases)]
            path = (self.target if take in (self.of_rest, self.of_metrics) else self.home) / name
            path.write_bytes(self.mutated(raw))
            if name.endswith(".json") and self.random.random() < 0.7:
                path.write_bytes(raw)
                self.odd(path, name)
            started = time.process_time()
            take(path)
            longest = max(longest, time.process_time() - started)
        return longest

    def mutated(self, raw: bytes) -> bytes:
        """Flip, cut, double, move or overwrite bytes, the last of them above all: there Parquet has its footer."""
        content = bytearray(raw)
        for _ in range(self.random.choice((1, 1, 1, 2, 8))):
            end = len(content)
            at = (
                self.random.randrange(end)
                if self.random.random() < 0.5
                else max(0, end - self.random.randrange(1, 700))
            )
            length = self.random.choice((1, 1, 2, 4, 16, 300))
            match self.random.randrange(6):
                case 0:
                    content[at] ^= 1 << self.random.randrange(8)
                case 1:
                    content[at : at + length] = self.random.randbytes(length)
                case 2:
                    content[at : at + length] = self.random.choice((b"\xff", b"\x7f", b"\0", b"[", b'"')) * length
                case 3:
                    del content[at : at + length]
                case 4:
                    content[at:at] = content[at : at + length]
                case _:
                    content = content[:at] or content
            if not content:
                return b""
        return bytes(content)

    def odd(self, path: Path, name: str) -> None:
        """Put something that nobody expects into a JSON file, and seal it."""

        def change(content: dict[str, Any]) -> None:
            place, key = self.random.choice(list(ways(content)))
            match self.random.randrange(4):
                case 0:
                    place[key] = self.random.choice(ODD)
                case 1 if isinstance(place, dict):
                    place[self.random.choice(("", "x", "<a>", "seed", "\u202e"))] = self.random.choice(ODD)
                case 2:
                    del place[key]
                case _:
                    place[key] = [place[key]] * self.random.choice((1, 2, 100))

        content = json.loads(path.read_text())
        if name.endswith("cost.json"):
            change(content)
            path.write_text(json.dumps(content))
            return
        try:
            sealed(path, change)
        except UnicodeEncodeError:  # half of a pair of surrogates is in no file
            path.write_bytes(b"{}")

    def of_record(self, path: Path) -> None:
        found = read(path, "record").value
        if found is not None:
            against = Against(self.matrix, facts(MATRIX, found.method), pins()["data"][MATRIX])
            assert all(isinstance(one, str) for one in record_faults(f"{MATRIX}/msp/0.json", found, against))

    def of_model(self, path: Path) -> None:
        found = read(path, "model").value
        if found is not None:
            list(model_faults(f"{MATRIX}/models/plain/0.json", found, self.outcomes, self.matrix))

    def of_cost(self, path: Path) -> None:
        from datetime import UTC, datetime

        found = read(path, "cost").value
        if found is not None:
            list(cost_faults(found, self.record, datetime.now(UTC)))

    def of_scores(self, path: Path) -> None:
        found = read_table(path, self.matrix, None, "scores").value
        if found is not None:
            list(score_faults(self.record, found, self.model, self.outcomes, self.matrix))

    def of_outcomes(self, path: Path) -> None:
        found = read_table(path, self.matrix, None, "outcomes").value
        if found is not None:
            list(model_faults(f"{MATRIX}/models/plain/0.json", self.model, found, self.matrix))

    def of_rest(self, path: Path) -> None:
        tree = Tree(self.target, {"superseded": ["superseded.toml"]})
        found, _ = superseded_rows(tree)
        list(rest(tree, self.whole, found))

    def of_metrics(self, path: Path) -> None:
        tree = Tree(self.target, {"metrics": ["metrics.parquet"]})
        folder = Folder(tree, self.whole.looked, self.whole.models, (), 0)
        self.numbers = getattr(self, "numbers", None) or _numbers(folder)
        list(_metrics(folder, self.numbers))


def ways(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a value within a value: what holds it, and its key."""
    keys = content.keys() if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in list(keys):
        yield content, key
        yield from ways(content[key])


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make(tmp_path_factory.mktemp("clean") / "results")
    shutil.rmtree(root / "reported")
    return root


SLOWEST = 5.0
"""Seconds of the processor for one file."""

MOST = 1024
"""Megabytes that all files together may add to the peak."""


def fuzzed(n: int, clean: Path, folder: Path, seed: int) -> None:
    fuzz = Fuzz(clean, folder, seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    longest = fuzz.run(n)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert longest < SLOWEST, f"{longest:.2f} s"
    assert grown < MOST, f"{grown:.0f} MB"


def test_some_mutated_files(clean: Path, tmp_path: Path) -> None:
    fuzzed(400, clean, tmp_path, seed=0)


@pytest.mark.slow
def test_twenty_thousand_mutated_files(clean: Path, tmp_path: Path) -> None:
    fuzzed(20_000, clean, tmp_path, seed=1)
