"""Input files that seem to be copies of others, whose jets would count twice."""

from collections.abc import Sequence

from jetmill.columns.batch_list import CleanedBatch

# ROOT writes this UUID into reproducible files.
NO_UUID = "00000000-0000-0000-0000-000000000000"


def copy_warnings(batches: Sequence[CleanedBatch]) -> list[str]:
    """Return one sentence that names the first two input files of the same content or UUID, if there are any."""
    if not (copies := _copies(batches)):
        return []
    path, what, other = copies[0]
    more = f" (and {len(copies) - 1} more like it)" if len(copies) > 1 else ""
    return [
        f"{path} and {other} have the same {what}{more}:"
        " if one is a copy of the other, its jets count twice; remove it from samples"
    ]


def _copies(batches: Sequence[CleanedBatch]) -> list[tuple[str, str, str]]:
    """Return the input files with jets whose content or UUID an earlier one has, what it is, and that one."""
    first: dict[tuple[str, str], str] = {}
    copies = []
    for batch in batches:
        for entry in batch.inputs:
            if not entry["jets"]:
                continue
            path = f"{entry['path']} of {batch.sample}"
            marks = [("content", entry.get("sha256")), ("UUID", entry.get("uuid"))]
            known = [(what, mark) for what, mark in marks if mark not in (None, NO_UUID)]
            if same := [mark for mark in known if mark in first]:
                copies.append((path, same[0][0], first[same[0]]))
            for mark in known:
                first.setdefault(mark, path)
    return copies
