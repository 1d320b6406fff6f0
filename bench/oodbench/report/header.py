"""What stands around the tables: how to read them, and what each is about."""

from collections.abc import Sequence

from oodbench.records import Failure, Record
from oodbench.report.board import Board
from oodbench.report.layout import averaged
from oodbench.report.section import Section

HEADER = """# Leaderboard

Detectors of classifier failures, ranked on fixed, versioned matrices of data sets and attacks. Every number is computed
from stored scores. This file is generated: `{command}` writes it, `{command} --check` compares it.

How to read it:

- A score is higher for inputs that are more to be trusted. **Good** inputs should be accepted, **bad** ones flagged.
- **FPR95 ranks**: the share of bad inputs accepted at the threshold that keeps 95 % of the good ones (`fpr95`; not
  `fpr95_ood_positive`, where 95 % of the bad ones are flagged). Detection error is taken at the same threshold.
  AUPR depends on the sizes of the sets, which stand above each table. All numbers are in percent; ↓ lower, ↑ higher
  is better.
- Methods share a **rank** ("2=") where neither the paired difference to the row above nor the one to the first row of
  that rank is significant at 5 %, corrected for the number of rows, by a bootstrap over inputs and seeds.
- **±** is the standard deviation over n training seeds (n - 1 in the denominator). One seed has none; its brackets hold
  the 95 % interval of that run (AUROC: DeLong; FPR95: bootstrap).
- Averages weigh sets equally, and stand only where no set is missing; – is a number that is not there, and the reason
  stands under "Not measured".
- **Model accuracy** is of the classifier that a row judges. ▼ marks one that is more than 2 points less accurate
  than its plain twin, the matrix's own network trained by cross-entropy, on the mean over the seeds that both have.
- **Tuned on** is the most telling held-out data that a row has seen: `none`, `id_val` (in-distribution), `ood_val`
  (out-of-distribution, from sources that no test set uses), `adversarial_val`. **Labels**: whether its fit reads them.
- **Passes** are forward passes through the network that one input costs, and gradient passes (∇).
- The papers' own numbers stand in tables of their own, each with the convention it obeys and its source."""

KINDS: dict[Failure, tuple[str, str]] = {
    "ood": ("Out-of-distribution inputs", "Good: in-set test images. Bad: images of other sets."),
    "adversarial": (
        "Adversarial inputs",
        "Good: attacked images as they were, where the model is right. Bad: their attacked versions that fooled it; "
        "`@uint8`: rounded to 256 grey levels before scoring, not part of the mean.",
    ),
    "misclassification": (
        "The model's own misclassifications",
        "Good: in-set test images that the model gets right. Bad: those it gets wrong.",
    ),
    "corruption": ("Corrupted inputs", "Good: in-set test images. Bad: their corrupted versions, type-severity."),
}

SCALES = {
    "cpu": "**Scale cpu**: small networks trained for minutes on two cores. These numbers are not the papers'.",
    "tiny": "**Scale tiny**: a demonstration on little data. These numbers are not the papers'.",
}


def matrix_facts(board: Board) -> str:
    """Return a matrix's heading, and what its numbers were made with."""
    title = f"## {board.title}: `{board.matrix}`" if board.title else f"## `{board.matrix}`"
    seeds = sorted({record.seed for record in board.records})
    facts = [
        f"- in-set: `{board.in_set}`; scale: {board.scale}; seeds: {', '.join(map(str, seeds))}",
        f"- methods: {len({record.method for record in board.records})}; code: {', '.join(_commits(board.records))}",
    ]
    warning = [f"> {SCALES[board.scale]}"] if board.scale in SCALES else []
    return "\n\n".join([title, *warning, "\n".join(facts)])


def failure_title(failure: Failure) -> str:
    """Return the heading of a kind of failure."""
    return f"{KINDS[failure][0]} (`{failure}`)"


def failure_facts(section: Section) -> str:
    """Return what is good, what is bad, and how many there are of each."""
    numbers = section.numbers
    good = _range([one.n_good for one in numbers])
    bad = {column.name: _range([one.n_bad for one in numbers if one.set == column.name]) for column in section.columns}
    sizes = ", ".join(f"{name} {size}" for name, size in bad.items())
    means = len(averaged(section.columns))
    over = f" The ranking is by means over {means} sets." if means > 1 else ""
    return f"{KINDS[section.failure][1]}{over}\n\nGood: {good}. Bad: {sizes}."


def _range(sizes: Sequence[int]) -> str:
    """Return a size, or its range over methods and seeds."""
    if not sizes:
        return "none"
    return f"{min(sizes):,}" + (f" to {max(sizes):,}" if min(sizes) < max(sizes) else "")


def _commits(records: Sequence[Record]) -> list[str]:
    """Return the commits that made the records, marked where files had been changed since."""
    made = {(record.git.commit or "unknown commit", bool(record.git.dirty)) for record in records}
    return [f"`{commit[:10]}`{' with uncommitted changes' if dirty else ''}" for commit, dirty in sorted(made)]
