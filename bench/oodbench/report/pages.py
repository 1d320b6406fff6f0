"""The generated pages: leaderboard.md, a page a matrix, a page a matrix and kind of failure, a page a method.

    leaderboard.md                              how to read it, and a short board of each matrix's last version
    docs/leaderboard/<matrix>/README.md         all kinds in one table, models, bits per dimension, sweeps, what lacks
    docs/leaderboard/<matrix>/<kind>.md         ranks, metrics, attacks and papers' numbers of a matrix and kind
    docs/leaderboard/<matrix>/<kind>-<metric>.md    a metric of it by set
    docs/leaderboard/which-detector.md          the best of what asks for no more than a person has
    docs/leaderboard/methods/<method>.md        what a method is, every number of it, its citation and parameters

All are made from one results folder that lies beside leaderboard.md; the same folder makes the same bytes.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence

from oodbench import reruns
from oodbench.data.matrix import Matrix
from oodbench.given import AT, method_of
from oodbench.measure.kinds import COVARIATE, averaged
from oodbench.measure.metrics import METRICS
from oodbench.records import Parameters, Record
from oodbench.report.attackers import GAP, failures_said, failures_table, gap_tables
from oodbench.report.calibration import calibration_parts
from oodbench.report.choice import choice
from oodbench.report.families import FAMILIES, MOST_ROWS, folded, of_families, short_board, short_board_said
from oodbench.report.fpr90 import SAID as FPR90_SAID
from oodbench.report.fpr90 import fpr90_table
from oodbench.report.ids import row_id
from oodbench.report.mann_whitney import SAID, mann_whitney_said, mann_whitney_table, reported_mann_whitney
from oodbench.report.markdown import link, table
from oodbench.report.members import NOTE, shares_members
from oodbench.report.method_notes import notes, printed
from oodbench.report.models import (
    Sweep,
    bits_table,
    given_said,
    model_table,
    reported_bits,
    reported_sweep,
    sweep_table,
    sweeps,
)
from oodbench.report.numbers import RANKED_BY, RANKINGS
from oodbench.report.paper_numbers import comparable, reported_table
from oodbench.report.rank_table import NOT_CHECKED, ONE_SEED, ranks_in_brief, ranks_of_all_said, ranks_said
from oodbench.report.reported import Reported
from oodbench.report.robustness import error_table, robustness_said, robustness_table
from oodbench.report.sets import MOST_SETS, set_table
from oodbench.report.site import COMMAND, MARK, PICTURE, WHOLE, Pages, Site, sweep_picture, to
from oodbench.report.standings import UNCHECKED, MatrixResults, Standings, ran_unchecked
from oodbench.report.superseded import MARK as MARKED
from oodbench.report.superseded import changes
from oodbench.report.tables import (
    SHOWN,
    UNMOVED,
    Linked,
    attack_table,
    bad_shares,
    further_metrics,
    further_table,
    gap_table,
    heat_map,
    method_table,
    metric_tables,
    needs_table,
    overview_table,
    passes_text,
    rank_table,
)
from oodbench.report.versions import earlier, later, latest

HEADER = """# Leaderboard

Detectors of classifier failures, ranked on fixed, versioned matrices of data sets and attacks. Every number is computed
from stored scores. `{command}` writes this file and the pages that it links to, `{command} --check` compares them.

## How to read it

- A score is higher for inputs that are more to be trusted. **Good** inputs should be accepted, **bad** ones flagged.
- **FPR95**, the false positive rate at 95 % true positive rate, is the share of bad inputs accepted at the threshold
  that keeps 95 % of the good ones (`fpr95`; not `fpr95_ood_positive`, where 95 % of the bad ones are flagged: "bad is
  positive" on the page of a method).
  **Detection error** is the mean of the shares of good inputs flagged and of bad ones accepted at this threshold.
- **AUROC**, the area under the receiver operating characteristic, is the chance that a good input scores above a bad
  one. **AUPR**, the area under the precision-recall curve, takes good inputs as the positive class (AUPR-In; for
  misclassifications AUPR-Success) or bad ones (AUPR-Out, AUPR-Error); it depends on the sizes of the sets, which stand
  above each table, and (1:1) weighs both classes equally.
- Out-sets stand in the group that the matrix puts them in: **near** (changed in-set inputs, or other data of the same
  things), **far** (data of other things), **synthetic** (drawn noise and constants), **covariate** (the in-set's own
  classes under a shift: a detector that accepts them is not wrong, so no mean and no rank has them).
- All numbers are in percent; ↓ lower, ↑ higher is better. **OOD** is short for out-of-distribution.
- A **rank** such as 7 (3-15) is a method's place by the mean, and a 95 % interval of its true rank: noise widens the
  interval, and moves no place. ★ marks **the set that may hold the best**: no other method is significantly better than
  one of these. Tables are in the order of the **FPR95 ranks**; the **AUROC ranks** stand beside them, and may differ.
  Each method is tested against all others of its table on the same inputs and seeds, at 5 % after Holm's correction; an
  interval is right with 95 % confidence for each method by itself, not for all at once. The page of each kind of
  failure says what was tested. A method without every seed and set of the matrix has no rank and says what it has ("4
  of 5 seeds"); nor has one whose seeds are ensembles of the same members ("shared members").
- **±** is the standard deviation over n training seeds (n - 1 in the denominator); of ensembles that share members it
  is no spread over training runs. One seed has none; its brackets hold the 95 % interval of that run (AUROC: DeLong;
  FPR95: Clopper and Pearson's of a share, at thresholds of resampled good inputs).
- **†** marks a row that an earlier version of its method made, and that is to be made again; the page of the matrix
  says what has changed since.
- Averages weigh sets equally, and stand only where no set is missing; – is a number that is not there, and the reason
  stands under "Not measured" on the page of the matrix.
- A matrix that is given its classifiers has a row for each method on each of them: `msp@resnet-20`.
- **Model accuracy** is of the classifier that a row judges. ▼ marks one that is more than 2 points less accurate
  than its plain twin, the matrix's own network trained by cross-entropy, on the mean over the seeds that both have.
- **Family** is what a method is built on: {families}.
- **Tuned on** is the most telling held-out data that a row has seen: `none`, `id_val` (in-distribution), `ood_val`
  (out-of-distribution, from sources that no test set uses), `ood_val_same` (other images of the very out-set that is
  tested, as some papers do; in matrices of their own), `adversarial_val`. **Labels**: whether its fit reads them.
- **Passes** are forward passes through the network that one input costs, and gradient passes (∇).
- **Version** completes a permanent id: a row is `matrix/method@version`, on one kind of failure `…#kind`, and a number
  `…#kind/set/metric`, as `tiny-v1/odin@1#ood/glyphs/fpr95`; a mean over sets is the set `mean`, or `mean:far` of a
  group. `oodbench cite ID` prints the number, its interval and what to cite. What is made again under another version
  has another id.
- The papers' own numbers stand in tables of their own, each with the convention it obeys and its source."""

SCALES = {
    "cpu": "**Scale cpu**: small networks trained for minutes on two cores. These numbers are not the papers'.",
    "tiny": "**Scale tiny**: a demonstration on little data. These numbers are not the papers'.",
}


GIVEN = (
    "**Given classifiers**: public networks, loaded as they were published. None is trained here; in-set inputs may be "
    'among those that they were trained on: "What tuning sees" in docs/given-models.md.'
)


def scale_said(card: Matrix | None, scale: str) -> str | None:
    """Return what a reader must know of the size of a matrix's classifiers; None where they are the papers'."""
    return GIVEN if card and card.model else SCALES.get(scale)


CALIBRATION = (
    "The classifiers, on the in-set's test inputs. ECE, the expected calibration error, is the mean gap between "
    "confidence and accuracy over 15 bins, in percent. OCE, the overconfidence error, is the share of errors among "
    "predictions with a confidence of 0.997 or more, divided by 0.003: 1 is right, more is overconfident; "
    "p ≥ 0.997 is the share of such predictions, in percent. NLL is the mean negative log likelihood of the true "
    "class, in nats."
)

ATTACKED = (
    "Attacked are test images that the model gets right; the success rate is the share of them that fooled it, in "
    "percent. ℓ∞ and ℓ2 are the largest and the Euclidean change of an image's pixels in [0, 1], means over those that "
    "fooled it."
)

HEAT = (
    "AUROC in percent, mean over the sets of a group and over seeds. █ 95 or more, ▓ 80, ▒ 65, ░ 55; at 50 a method "
    "cannot tell them apart, and below it takes them for cleaner than clean ones."
)

STAYED = (
    "Unmoved is the share, in percent, that an attack left as they were: no derivative led anywhere, as in a "
    "classifier that is saturated, which is no robustness; or no small change was found that fools."
)
"""Stands below `ATTACKED` where unmoved images were counted."""

EARLIER = f"{MARKED} made by an earlier version of the method: [what has changed since](README.md)."

BITS = (
    "The mean of -log2 p of an 8-bit image under each density, divided by its number of values: fewer bits, likelier."
)


ABSTAINING = (
    "A classifier may abstain on the inputs that score lowest: coverage is the share of inputs that it accepts, risk "
    "the share of errors among these. In percent; docs/metrics.md says what becomes of ties."
)


def pages(site: Site, matrices: Sequence[MatrixResults], reported: Sequence[Reported]) -> Pages:
    """Return all generated pages of a results folder."""
    made = {site.index: _index(site, matrices)}
    methods = sorted({method_of(record.method) for matrix in matrices for record in matrix.records})
    by_name = {one.name: one for one in matrices}
    for matrix in matrices:
        own = {method_of(record.method) for record in matrix.records}
        newer = later(matrix.name, by_name)
        elsewhere = [one for one in methods if one not in own]
        made[site.of_matrix(matrix)] = _matrix(site, matrix, reported, elsewhere, by_name[newer] if newer else None)
        made |= {site.of_kind(one): _kind(site, matrix, one, reported) for one in matrix.kinds}
        made |= {
            site.of_metric(one, metric): _metric(site, one, metric) for one in matrix.kinds for metric in _by_set(one)
        }
    if parts := choice(matrices, lambda matrix: site.linked(site.choice, matrix.name), COMMAND):
        made[site.choice] = _text(parts)
    return made | {site.of_method(method): _method(site, matrices, reported, method, methods) for method in methods}


def _text(parts: Sequence[str]) -> str:
    return "\n\n".join([MARK, *parts]) + "\n"


def _index(site: Site, matrices: Sequence[MatrixResults]) -> str:
    here = site.index
    parts = [HEADER.format(command=COMMAND, families=_families())]
    last = latest(matrix.name for matrix in matrices)
    for matrix in (one for one in matrices if one.name in last):
        parts += [_title(matrix), *_facts(matrix), *_earlier(site, matrix, matrices)]
        parts += site.picture(here, matrix, PICTURE, _pictured(matrix))
        parts += [ONE_SEED] if all(len(one.all_seeds) == 1 for one in matrix.kinds) else []
        for one in matrix.kinds:
            more = link("All rows, by set and by all metrics", to(here, site.of_kind(one)))
            shown = rank_table(one, site.linked(here, matrix.name), short_board(one))
            said = " ".join(filter(None, [short_board_said(one), f"{more}."]))
            parts += [f"### {one.kind.title} (`{one.kind.name}`)", ranks_in_brief(one), shown, said]
        whole = link(f"the page of {matrix.name}", to(here, site.of_matrix(matrix)))
        parts.append(f"All kinds of failure in one table, what was judged, and what is not measured: {whole}.")
    return _text(parts)


def _earlier(site: Site, matrix: MatrixResults, matrices: Sequence[MatrixResults]) -> list[str]:
    """Return where the versions before stand, which have no board on the front."""
    by_name = {one.name: one for one in matrices}
    before = [by_name[name] for name in earlier(matrix.name, by_name)]
    sizes = [len(_scored(one.records)) for one in before]
    links = [
        f"{link(one.name, to(site.index, site.of_matrix(one)))} ({size} row{'s' * (size != 1)})"
        for one, size in zip(before, sizes, strict=True)
    ]
    return [f"Earlier versions, whose numbers stand: {', '.join(links)}."] if links else []


def _pictured(matrix: MatrixResults) -> str:
    return f"FPR95 and rank on {matrix.name}: the best of each family, and what may be the best"


def _families() -> str:
    return "; ".join(f"**{family}**, {what}" for family, what in FAMILIES.items())


def _matrix(
    site: Site,
    matrix: MatrixResults,
    reported: Sequence[Reported],
    elsewhere: Sequence[str],
    newer: MatrixResults | None,
) -> str:
    """Return the page of a matrix.

    `elsewhere` are the methods that other matrices have and this one has not, `newer` is its last version if another.
    """
    here = site.of_matrix(matrix)
    linked = site.linked(here, matrix.name)
    kinds = [link(one.kind.title, to(here, site.of_kind(one))) for one in matrix.kinds]
    parts = [_title(matrix, "#"), *_facts(matrix), " · ".join([link("Leaderboard", to(here, site.index)), *kinds])]
    parts += (
        [f"The last version of this matrix is {link(newer.name, to(here, site.of_matrix(newer)))}."] if newer else []
    )
    parts += _superseded(site, matrix.name)
    parts += filter(None, [reruns.said(site.reruns, matrix.name)])
    parts += site.picture(here, matrix, PICTURE, _pictured(matrix))
    whole = f"FPR95 and rank of every method on {matrix.name}"
    parts += [folded("All rows as a picture", one) for one in site.picture(here, matrix, WHOLE, whole)]
    if len(matrix.kinds) > 1:
        parts += ["## Which detector catches which failure", failures_said(matrix), *_failures(matrix, linked)]
        for metric in RANKINGS:
            by = f"## All kinds of failure by {METRICS[metric].title}"
            parts += [by, ranks_of_all_said(matrix, metric), *_overview(matrix, metric, linked)]
    parts += ["## What was judged", *given_said(matrix.card), CALIBRATION, model_table(matrix, linked)]
    parts += calibration_parts(matrix, linked)
    ours, theirs = bits_table(matrix, linked), reported_bits(matrix, reported)
    parts += ["### Bits per dimension", BITS, ours] if ours else []
    parts += ["### Bits per dimension in the papers", theirs] if theirs else []
    if (said := robustness_said(matrix)) and (errors := robustness_table(matrix)):
        by_type = error_table(matrix)
        parts += ["### Robustness to corruptions", said, errors]
        parts += [folded("Error by type, mean over severities", by_type)] if by_type else []
    for sweep in sweeps(matrix):
        parts += [f"## {sweep.title}", sweep_table(sweep, matrix, linked)]
        parts += _curves(site, matrix, sweep, reported) if sweep.ordered else []
    if matrix.gaps or elsewhere:
        parts.append("## Not measured")
    parts += [gap_table(matrix.gaps, linked)] if matrix.gaps else []
    if elsewhere:
        parts.append(f"Never run here, but on another matrix: {', '.join(map(linked, elsewhere))}.")
    return _text(parts)


def _curves(site: Site, matrix: MatrixResults, sweep: Sweep, reported: Sequence[Reported]) -> list[str]:
    """Return the picture of a sweep over numbers, and what papers print of it."""
    title = f"{sweep.field} of {sweep.recipe}"
    parts = site.picture(site.of_matrix(matrix), matrix, sweep_picture(sweep.recipe, sweep.field), title)
    theirs = reported_sweep(sweep, reported)
    return [*parts, "### In the papers", theirs] if theirs else list(parts)


def _by_set(standings: Standings) -> Sequence[str]:
    """Return the metrics that have a page by set; none where there is one set."""
    return (*SHOWN, *further_metrics(standings)) if len(standings.columns) > 1 else ()


def _metric(site: Site, standings: Standings, metric: str) -> str:
    """Return the page of a matrix, kind and metric: a column a set."""
    here, kind = site.of_metric(standings, metric), standings.kind
    title = f"# {kind.heading(metric)} by set: {kind.title.lower()} on `{standings.matrix}`"
    above = [
        link("How to read it", f"{to(here, site.index)}#how-to-read-it"),
        link(kind.title, to(here, site.of_kind(standings))),
    ]
    order = f"In the order of the {METRICS[RANKED_BY].title} ranks."
    earlier = [EARLIER] if site.superseded.get(standings.matrix) else []
    tables = metric_tables(standings, metric, site.linked(here, standings.matrix))
    further = [ABSTAINING, METRICS[metric].definition, bad_shares(standings)] if metric in kind.further else []
    return _text([title, " · ".join(above), *further, order, *earlier, tables])


def _overview(matrix: MatrixResults, metric: str, linked: Linked) -> list[str]:
    """Return the ranks of all kinds of failure in one table; where it is long, its first rows, and the whole folded."""
    whole = overview_table(matrix, metric, linked)
    count = len({method for one in matrix.kinds for method in one.ranks})
    if count <= MOST_ROWS:
        return [whole]
    shown = {method for one in matrix.kinds for method in short_board(one)}
    return [overview_table(matrix, metric, linked, shown), folded(f"All {count} rows", whole)]


def _failures(matrix: MatrixResults, linked: Linked) -> list[str]:
    """Return the table of all failures; where it is long, its first rows, and the whole folded."""
    whole = failures_table(matrix, linked)
    count = len({method for one in matrix.kinds for method in one.ranks})
    if count <= MOST_ROWS:
        return [whole]
    shown = {method for one in matrix.kinds for method in short_board(one)}
    return [failures_table(matrix, linked, shown), folded(f"All {count} rows", whole)]


def _superseded(site: Site, matrix: str) -> list[str]:
    """Return which rows of a matrix earlier versions made, and what has changed."""
    found = changes(site.superseded.get(matrix, {}))
    lines = [f"- {', '.join(f'`{method}`' for method in methods)}: {change}." for change, methods in found.items()]
    said = f"{MARKED} Rows made by an earlier version of their method, to be made again, and what has changed since:"
    return [said, "\n".join(lines)] if lines else []


def _kind(site: Site, matrix: MatrixResults, standings: Standings, reported: Sequence[Reported]) -> str:
    here = site.of_kind(standings)
    linked, kind = site.linked(here, standings.matrix), standings.kind
    above = [link("How to read it", f"{to(here, site.index)}#how-to-read-it"), link(matrix.name, "README.md")]
    above += [
        link(f"{kind.heading(metric)} by set", to(here, site.of_metric(standings, metric)))
        for metric in _by_set(standings)
    ]
    parts = [f"# {kind.title} on `{matrix.name}` (`{kind.name}`)", " · ".join(above), _sizes(standings)]
    parts += [EARLIER] if site.superseded.get(standings.matrix) else []
    parts += [ranks_said(standings), *_ranking(standings, linked)]
    if shades := heat_map(standings, linked):
        parts += ["## Which method finds what", HEAT, shades]
    parts += ["## Other metrics, and what each method needs", _if_long(standings, needs_table(standings, linked))]
    if abstaining := further_table(standings, linked):
        said = [f"**{kind.heading(metric)}**: {METRICS[metric].definition}" for metric in further_metrics(standings)]
        parts += ["## Selective prediction", " ".join([ABSTAINING, *said]), _if_long(standings, abstaining)]
    recall = fpr90_table(standings, matrix.card, linked)
    parts += ["## FPR90", FPR90_SAID, _if_long(standings, recall)] if recall else []
    attacks = attack_table(standings)
    unmoved = [STAYED] if attacks and UNMOVED in attacks else []
    parts += ["## What the attacks achieved", " ".join([ATTACKED, *unmoved]), attacks] if attacks else []
    gaps = gap_tables(standings, linked)
    parts += ["## What knowing the detector is worth", GAP, _if_long(standings, gaps)] if gaps else []
    tested, printed = mann_whitney_table(standings, linked), reported_mann_whitney(standings, reported)
    parts += ["## Mann-Whitney test", SAID, tested] if tested else []
    parts += ["### In the papers", printed] if tested and printed else []
    found = comparable(standings, matrix.in_set, reported)
    here_at = "as given" if matrix.card and matrix.card.model else f"scale {matrix.scale}"
    parts += ["## The papers' own numbers", reported_table(standings, here_at, found)] if found else []
    return _text(parts)


def _ranking(standings: Standings, linked: Linked) -> list[str]:
    """Return the ranking; a long one as its short board, with all rows and those of each family folded below."""
    whole, rows = rank_table(standings, linked), list(standings.ranks)
    if len(rows) <= MOST_ROWS:
        return [whole]
    parts = [rank_table(standings, linked, short_board(standings)), short_board_said(standings)]
    parts.append(folded(f"All {len(rows)} rows", whole))
    for family, own in of_families(rows).items():
        summary = f"{family}: {FAMILIES[family]} ({len(own)})"
        parts.append(folded(summary, rank_table(standings, linked, own)))
    return parts


def _if_long(standings: Standings, text: str) -> str:
    """Return tables of all rows, folded where these are many."""
    return folded(f"All {len(standings.ranks)} rows", text) if len(standings.ranks) > MOST_ROWS else text


def _method(
    site: Site,
    matrices: Sequence[MatrixResults],
    reported: Sequence[Reported],
    method: str,
    methods: Collection[str],
) -> str:
    here = site.of_method(method)
    found = [(matrix, row) for matrix in matrices for row in _rows_of(matrix, method)]
    first = next(record for record in found[0][0].records if record.method == found[0][1])
    paper = first.citation
    source = f"{paper.authors}. {link(paper.title, paper.url)}" + (f", {paper.year}." if paper.year else ".")
    parts = [
        f"# `{method}`: {first.title.removesuffix(f', {first.method.removeprefix(method + AT)}')}",
        source,
        f"Tuned on: {first.tuning_access}. Its fit {'reads' if first.fits_on_labels else 'does not read'} labels. "
        f"{link('How to read the tables', f'{to(here, site.index)}#how-to-read-it')}; percent.",
        *notes(method, _tried_on(found)),
    ]
    parts += [part for matrix, row in found for part in _row(site, here, matrix, row)]
    return _text([*parts, *printed(method, reported, methods)])


def _tried_on(found: Sequence[tuple[MatrixResults, str]]) -> str | None:
    """Return a matrix that a method has scores on, one of scale tiny where it can be; None if it has none anywhere."""
    made = [one for one, row in found if any(record.method == row and record.status == "ok" for record in one.records)]
    return min(made, key=lambda one: one.scale != "tiny").name if made else None


def _rows_of(matrix: MatrixResults, method: str) -> list[str]:
    """Return the rows of a matrix that are a method's: on its own classifier, or one on each given model."""
    return list(dict.fromkeys(one.method for one in matrix.records if method_of(one.method) == method))


def _row(site: Site, here: str, matrix: MatrixResults, row: str) -> list[str]:
    """Return what the page of a method says of one row of a matrix."""
    records = [record for record in matrix.records if record.method == row]
    title = link(matrix.name, to(here, site.of_matrix(matrix))) + (f", `{row}`" if AT in row else "")
    parts = [f"## {title}", _made_with(records)]
    if change := site.superseded.get(matrix.name, {}).get(row):
        parts.append(f"{MARKED} These rows were made by an earlier version of the method: {change}.")
    for one in matrix.kinds:
        if row in one.entries:
            kind = link(one.kind.title, to(here, site.of_kind(one)))
            parts += [f"### {kind}: {rank_of(one, row)}", method_table(one, row), *mann_whitney_said(one, row)]
            further = further_metrics(one)
            parts += [method_table(one, row, further)] if further else []
    lacking = [one for one in matrix.gaps if row in one.methods]
    return [*parts, "### Not measured", gap_table(lacking, site.linked(here, matrix.name))] if lacking else parts


def rank_of(standings: Standings, method: str) -> str:
    """Return a method's ranks by all metrics that have them, or why it has none."""
    if method not in {one.method for one in standings.ranked}:
        return f"no rank, {standings.ranks[method]}"
    return "rank " + ", ".join(f"{standings.ranks_by[one][method]} by {METRICS[one].title}" for one in RANKINGS)


def _made_with(records: Sequence[Record]) -> str:
    """Return parameters, facts of the fit, seeds, model and costs of a method on a matrix."""
    parameters = records[0].parameters
    tuned = {str(record.seed): record.parameters for record in records if record.parameters.chosen}
    rows = [[name, _shown(value), "default"] for name, value in parameters.default.items()]
    rows += [[name, _shown(value), "given"] for name, value in parameters.given.items()]
    for name in dict.fromkeys(name for by_seed in tuned.values() for name in by_seed.chosen):
        values = ", ".join(_choice(name, seed, by_seed) for seed, by_seed in tuned.items())
        rows.append([name, values, "tuned"])
    for name in dict.fromkeys(name for record in records for name in record.facts):
        values = ", ".join(_fact(name, record) for record in records if name in record.facts)
        rows.append([name, values, "fitted"])
    scored = any(record.status == "ok" for record in records)
    models = {record.model.name for record in records if record.model}
    references = {record.reference.name for record in records if record.reference} - models
    facts = [
        *_ids_said(records),
        *([f"- picture of its scores: `oodbench show {records[0].matrix} {records[0].method}`"] if scored else []),
        f"- seeds: {', '.join(str(record.seed) for record in records)}; passes: {passes_text(records)}",
        *([f"- model: {', '.join(f'`{name}`' for name in sorted(models))}"] if models else []),
        *([f"- judged on the errors of `{', '.join(sorted(references))}`"] if references else []),
        *([f"- {NOTE}"] if shares_members(records) else []),
        *([f"- {UNCHECKED}: {NOT_CHECKED}"] if ran_unchecked(records) else []),
    ]
    parts = ["\n".join(facts)]
    words = ("Parameter", "Value", "")
    return "\n\n".join([*parts, table(words, rows, words)] if rows else parts)


def _ids_said(records: Sequence[Record]) -> list[str]:
    """Return the id of a row, and what follows it for a number; nothing where its seeds are of several versions."""
    row = row_id(records)
    return [f"- id: `{row}`, and of a number `{row}#kind/set/metric`"] if row else []


def _choice(name: str, seed: str, parameters: Parameters) -> str:
    """Return what tuning chose at a seed, and whether nothing told it apart from the others."""
    return f"{_shown(parameters.chosen.get(name))} (seed {seed}{', undecided' if parameters.undecided else ''})"


def _fact(name: str, record: Record) -> str:
    """Return what the fit says of itself at a seed."""
    value = record.facts[name]
    return f"{'not finite' if value is None else f'{value:.4g}'} (seed {record.seed})"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _title(matrix: MatrixResults, level: str = "##") -> str:
    return f"{level} {matrix.card.title}: `{matrix.name}`" if matrix.card else f"{level} `{matrix.name}`"


def _facts(matrix: MatrixResults) -> list[str]:
    """Return what a matrix's numbers were made with."""
    seeds = sorted({record.seed for record in matrix.records})
    facts = [
        f"- in-set: `{matrix.in_set}`; scale: {matrix.scale}; seeds: {', '.join(map(str, seeds))}",
        f"- {_counted(matrix.records)}; code: {', '.join(_commits(matrix.records))}",
        f"- made on: {_machines([record for record in matrix.records if record.status == 'ok'])}",
    ]
    said = scale_said(matrix.card, matrix.scale)
    warning = [f"> {said}"] if said else []
    return [*warning, "\n".join(facts)]


def _sizes(standings: Standings) -> str:
    """Return what is good, what is bad, and how many there are of each."""
    sizes = [(name, *pair) for sets in standings.sizes.values() for name, pair in sets.items()]
    bad = {column.name: _range([m for name, _, m in sizes if name == column.name]) for column in standings.columns}
    means = len(averaged(standings.columns))
    over = f" The ranking is by means over {means} sets." if means > 1 else ""
    if any(column.group == COVARIATE for column in standings.columns):
        over += f" The group {COVARIATE} has the in-set's own classes, shifted; it is no part of them."
    good = _range([n for _, n, m in sizes if n and m])
    told = f"{standings.kind.said}{over}"
    if shown := set_table(standings.columns, bad):
        shown = folded(f"All {len(bad)} sets", shown) if len(bad) > MOST_SETS else shown
        return f"{told} There are {good} good inputs, and bad ones of each set as follows.\n\n{shown}"
    each = ", ".join(f"{name} {size}" for name, size in bad.items())
    return f"{told}\n\nGood: {good}. Bad: {each}."


def _range(sizes: Sequence[int]) -> str:
    """Return a size, or its range over methods and seeds."""
    if not any(sizes):
        return "none"
    return f"{min(sizes):,}" + (f" to {max(sizes):,}" if min(sizes) < max(sizes) else "")


def _commits(records: Sequence[Record]) -> list[str]:
    """Return the commits that made the records, marked where files had been changed since."""
    made = {(record.git.commit or "unknown commit", bool(record.git.dirty)) for record in records}
    return [f"`{commit[:10]}`{' with uncommitted changes' if dirty else ''}" for commit, dirty in sorted(made)]


def _counted(records: Sequence[Record]) -> str:
    """Return how many rows have scores, how many methods on how many classifiers these are, and who has none."""
    scored = _scored(records)
    methods, models = {method_of(row) for row in scored}, {row.partition(AT)[2] for row in scored}
    without = {method_of(record.method) for record in records} - methods
    several = f" ({len(methods)} methods on {len(models)} classifiers)" if len(models) > 1 else ""
    counted = f"rows: {len(scored)}{several}" if several else f"methods: {len(scored)}"
    return f"{counted}; methods without scores: {len(without)}" if without else counted


def _scored(records: Sequence[Record]) -> set[str]:
    """Return the methods that have scores."""
    return {record.method for record in records if record.status == "ok"}


def _machines(records: Sequence[Record]) -> str:
    """Return the classes of machine that made the records, the busiest first, each with how many it made."""
    made = Counter(record.environment.machine or record.environment.device for record in records)
    return ", ".join(f"{machine} ({count} records)" for machine, count in made.most_common())
