"""docs/verify.md, written from the catalogue: `python -m tests.verify.page`."""

from pathlib import Path

from tests.verify.catalogue import CATALOGUE
from tests.verify.rerun_only import RERUN_ONLY

from oodbench.report.markdown import table
from oodbench.verify.sorting import SORTED, counts

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"


def page() -> str:
    """Return the text of the page."""
    found = counts()
    return INTRODUCTION.format(
        fields=sum(found.values()),
        **{how.replace("-", "_"): n for how, n in found.items()},
        sorted=_sorted(),
        refused=len(CATALOGUE),
        catalogue=table(
            ["Kind", "What is done", "What is said of it"],
            [[one.kind, one.what, f"`{escaped(one.file)}`: {escaped(one.says)}"] for one in CATALOGUE],
            ("Kind", "What is done", "What is said of it"),
        ),
        n_rerun=len(RERUN_ONLY),
        rerun=table(
            ["Kind", "What is done", "What the re-run says"],
            [[one.kind, one.what, escaped(one.says)] for one in RERUN_ONLY],
            ("Kind", "What is done", "What the re-run says"),
        ),
    )


def _sorted() -> str:
    headers = ["File", "Field", "How", "By"]
    rows = [
        [
            kind,
            "whole file" if name == "*" else f"`{name}`",
            one.how,
            f"`{one.by}`" if one.by.startswith(COMMANDS) else one.by,
        ]
        for kind, fields in SORTED.items()
        for name, one in fields.items()
    ]
    return table(headers, rows, headers)


COMMANDS = ("oodbench ", "git ")


def escaped(text: str) -> str:
    """Return text as a cell of a table shows it."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


INTRODUCTION = """\
# Verifying results

<!-- Written from tests/verify/catalogue.py; `make catalogue` writes it anew. -->

```console
$ oodbench verify                                  # results/: every file, no torch
$ oodbench verify results/tiny-v1                  # one matrix
$ oodbench verify handed-in --against results      # what somebody hands in, beside what is believed
$ oodbench verify tiny-v1 --rerun 0.02             # records made again from nothing
```

It ends with 1 where anything is wrong, and names the file and the fault. Of {fields} fields {recomputed} are
recomputed from the scores, {cross_checked} are cross-checked against methods, matrices, cards, pins and other
files, and {re_runnable} are only re-runnable: the report lists these with the command that makes them again.

What was examined is remembered by the sha256 of its bytes, in the user's cache (`--state`) and never in the
folder that is verified: an entry that has not changed is not measured again. `--no-state` remembers nothing.

Nothing is executed or unpickled. Links, devices, pipes and folders in place of files are refused before
anything is opened; how large a file may be follows from its matrix; of a Parquet file the headers of all pages
are read before one is unpacked.

**Against** other results: a model that both have must be the same, records of one origin must agree, no scores
may be those of another seed, model or method, and of a whole folder no record may be gone.

**Pins.** `bench/oodbench/verify/pins.json` has the sha256 of the bytes of each set of each matrix with results,
and of `claims.toml`, `superseded.toml` and the papers' own numbers; `make pins` renews it, and reviewers see
what changes. The hashes of the matrices are in `bench/oodbench/data/published.py`, what methods declare in
`methods/declared.json` (`make gallery`). A method that is not in this repository yet is named with `--new`:
then nothing is known of what it declares.

**Re-runs.** `--rerun SHARE` draws records by the sha256 of all that was handed in and by a nonce of the
verifier (`--draw`; a new one if none is named, and printed): nobody knows the draw before the results are
fixed. An AUROC may differ by 0.0005 within one class of machine, by 0.002 within one kind (all CPUs), by 0.01
between kinds; an FPR95 must lie in its 95 % interval; any other number of a record may differ by 0.1 %, between
classes by 5 %.

**Submissions.** A folder that `oodbench submit` made (source, records, scores, a manifest and the text of a pull
request) is verified whole: every file is in the manifest with its sha256 and its size, and lies where a
submission has such files; methods, matrices and seeds are those of the results; source is text in UTF-8, of a
megabyte a file at most, without characters that are not seen, and has the module that the manifest names. It
is not imported, not parsed, not run. Methods that are new are named by the manifest. `tests/submission` has a
test of each way to tamper with one.

**History.** `--history results/reruns.csv` appends a line with what the re-run came to, the draw and the commit in it:
`make sample` does that for a share of a matrix, the nightly workflow commits it, and the page of the matrix
says what all of them came to. As long as the results are those of then, the same draw draws the same records.

## How each field is verified

{sorted}

## The catalogue

{refused} forgeries and faults, each of them a test: a folder that verifies clean is changed, many times carefully
(sealed, hashed and measured again), and the message is looked for.

{catalogue}

## What only a re-run finds

{n_rerun} more pass everything above, and a test shows that the re-run finds them.

{rerun}

Two more pass even that. Scores that a method makes of test labels it was handed outside of oodbench cannot be
told from honest ones of honest code: a re-run of the code finds them, so code is read before a method is
merged. And where a sample is re-run, what was not drawn is not: with a share p of the records, k forged ones
all escape with probability (1 - p)^k.
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
