"""What corruptions do to the classifiers of a matrix: errors by type, mCE against one of them, entropy."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from oodbench.corruptions.registry import FIFTEEN, of_the_fifteen
from oodbench.errors import BadData
from oodbench.measure.corruption import by_type, mce, rel_mce
from oodbench.measure.summary import spread
from oodbench.records import Corrupted, ModelRecord
from oodbench.report.markdown import NONE, mean_and_std, plainly, table
from oodbench.report.models import Judged, classifiers
from oodbench.report.standings import MatrixResults, of_plain

Types = Mapping[str, Sequence[Corrupted]]
"""What corruption does to a model by type, a severity after the other."""

Ratios = tuple[float | None, float | None]
"""mCE and relative mCE."""


def baseline(matrix: MatrixResults) -> Judged | None:
    """Return the classifier that mCE is against: the plain one, or the first given; None without corruptions."""
    judged = [one for one in classifiers(matrix) if all(model.corruptions for model in one.by_seed.values())]
    plain = [one for one in judged if of_plain(next(iter(one.by_seed.values())).recipe)]
    return next(iter([*plain, *judged]), None)


def robustness_said(matrix: MatrixResults) -> str | None:
    """Return what the table of robustness shows; None without corruptions."""
    against = baseline(matrix)
    if against is None:
        return None
    types = by_type(next(iter(against.by_seed.values())).corruptions or {})
    n = next(iter(types.values()))[0].n
    those = of_the_fifteen(types)
    over = f"{len(those)} of the 15 types ({', '.join(those)})" if len(those) < len(FIFTEEN) else "the 15 types"
    over += ", `drawn-frost` for frost" if those == list(FIFTEEN) else ""
    return (
        f"Errors on {n:,} test images, as they are (clean) and corrupted, in percent. mCE sums the error over "
        f"severities, divides it by that of `{against.name}` of the same seed on the same images, and averages over "
        f"{over}; relative mCE does so with the rise over the clean error, of seeds at which the error of "
        f"`{against.name}` rises under each type. Neither is comparable with one against "
        "AlexNet. Δ entropy is the mean entropy of the prediction on corrupted images minus that on clean ones, nats."
    )


def robustness_table(matrix: MatrixResults) -> str | None:
    """Return a row a classifier: clean and mean error, mCE, relative mCE, entropy; None without corruptions."""
    against = baseline(matrix)
    if against is None:
        return None
    headers = ["Classifier", "Clean error ↓", "Corrupted error ↓", "mCE ↓", "Relative mCE ↓", "Δ entropy"]
    rows = []
    for one in classifiers(matrix):
        known = [model for model in one.by_seed.values() if model.corruptions]
        all_of = [[found for of in by_type(model.corruptions or {}).values() for found in of] for model in known]
        clean = spread([fmean(found.clean_error for found in of) for of in all_of])
        error = spread([fmean(found.error for found in of) for of in all_of])
        entropy = spread([fmean(found.delta_entropy for found in of) for of in all_of])
        ratios = [ratios_of(model, against.by_seed.get(model.seed)) for model in known]
        cells = [mean_and_std(clean), mean_and_std(error), *_both(ratios), plainly(entropy, 3)]
        rows.append([f"`{one.name}`", *cells])
    return table(headers, rows, ("Classifier",))


def error_table(matrix: MatrixResults) -> str | None:
    """Return the error of each classifier by type, mean over severities; None without corruptions."""
    against = baseline(matrix)
    if against is None:
        return None
    types = list(by_type(next(iter(against.by_seed.values())).corruptions or {}))
    rows = []
    for one in classifiers(matrix):
        known = [by_type(model.corruptions or {}) for model in one.by_seed.values() if model.corruptions]
        rows.append([f"`{one.name}`", *(_error([of[name] for of in known if name in of]) for name in types)])
    return table(["Classifier", *types], rows, ("Classifier",))


def _error(seeds: Sequence[Sequence[Corrupted]]) -> str:
    return mean_and_std(spread([fmean(one.error for one in of) for of in seeds]))


def ratios_of(model: ModelRecord, against: ModelRecord | None) -> Ratios:
    """Return mCE and relative mCE over those of the 15 types that were measured; None for what does not exist."""
    if against is None:
        return None, None
    own, other = (_of_the_fifteen(by_type(one.corruptions or {})) for one in (model, against))
    if not own or not other:
        return None, None
    errors, known = ({name: [one.error for one in of] for name, of in types.items()} for types in (own, other))
    clean, known_clean = (fmean(one.clean_error for of in types.values() for one in of) for types in (own, other))
    return _or_none(mce, errors, known), _or_none(rel_mce, errors, clean, known, known_clean)


def _of_the_fifteen(types: Types) -> Types:
    return {name: types[name] for name in of_the_fifteen(types)}


def _or_none(ratio: Callable[..., float], *of: object) -> float | None:
    """Return a ratio; None where some corruption costs the baseline nothing: nothing to divide by."""
    try:
        return ratio(*of)
    except BadData:
        return None


def _both(ratios: Sequence[Ratios]) -> list[str]:
    found = [[one for one in of if one is not None] for of in zip(*ratios, strict=True)]
    return [mean_and_std(spread(of), len(ratios)) if of else NONE for of in found]
