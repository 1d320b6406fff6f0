"""Which rows have seeds that are not independent: ensembles that are made of the same members from seed to seed."""

from collections.abc import Sequence

from oodbench.records import Record

NOTE = "its seeds are ensembles that share members: ± is no spread over seeds, and no test over seeds has it"
"""What stands on such a row."""


def shares_members(records: Sequence[Record]) -> bool:
    """Return whether any two of a method's records (one matrix, one a seed) are of models with a member in common.

    Records name the members' seeds. Those made before they did are known by what their recipe says: how many members it
    has, `M`, and how each of them is trained; with several seeds these were bootstraps of the same M.

        shares_members([entry.record for entry in entries if entry.record.method == "waic-glow"])
    """
    members = [seed for record in records for seed in set(record.members)]
    unnamed = [record for record in records if not record.members and _of_members(record)]
    return len(set(members)) < len(members) or len(unnamed) > 1


def _of_members(record: Record) -> bool:
    """Whether a recipe says how many members it has, and holds the recipe that all of them have."""
    return "M" in record.recipe and any(
        isinstance(part, dict) and "training" in part for part in record.recipe.values()
    )
