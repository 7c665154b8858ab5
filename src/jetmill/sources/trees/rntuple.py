"""RNTuples, ROOT's format after TTrees. They are written in clusters of entries, each of which is read once.

uproot's own loop reads the clusters of every step anew, and that after it too, and looks through all fields for it. So
forms and columns are uproot's here, and the loop is not.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

import awkward as ak
import numpy as np
import uproot

from jetmill.sources.trees.columns import Column
from jetmill.sources.trees.tree import MOST_COMPRESSED, Arrays, Tree

logger = logging.getLogger(__name__)

# Bytes of a cluster that endanger the 1 GiB of a job.
LARGE_CLUSTER = 250_000_000
_BUFFER = re.compile(r"column-(\d+)(-cardinality)?-(data|offsets)")


class RNTuple(Tree):
    """An RNTuple; its fields are called branches, as those of a TTree."""

    def __init__(self, path: str, name: str, found: "uproot.models.RNTuple.Model_ROOT_3a3a_RNTuple"):
        self._fields = {field.path: field for field in found.all_fields if field.path}
        columns = [Column(top, tuple(members)) for top, *members in (p.split(".") for p in self._fields)]
        super().__init__(path, name, found.num_entries, columns)
        self._ntuple = found

    def entry_type(self, column: Column) -> ak.types.Type:
        """Return the type of an entry of the whole field; nothing is read."""
        return self._form([column]).content(column.branch).type

    def typename(self, column: Column) -> str:
        """Return what ROOT calls the type of the field."""
        path = ".".join([column.branch, *column.members])
        return str(self._fields.get(path, self._fields[column.branch]).typename)

    def read(self, columns: Sequence[Column], file_bytes: int, chunk_bytes: int) -> Iterator[tuple[int, Arrays]]:
        """Return an iterator over all entries; it holds as many clusters as fit into a chunk, and one at least."""
        form = self._form(columns)
        if (entries := sum(c.num_entries for c in self._ntuple.cluster_summaries)) != self.num_entries:
            raise ValueError(f"its clusters hold {entries} entries, not {self.num_entries}")
        sizes = self._bytes_of_clusters(form)
        if (size := sum(sizes)) > MOST_COMPRESSED * file_bytes:
            raise ValueError(f"{size} bytes are declared, in a file of {file_bytes}")
        return self._chunks(columns, form, sizes, chunk_bytes)

    def _chunks(
        self, columns: Sequence[Column], form: ak.forms.Form, sizes: list[int], chunk_bytes: int
    ) -> Iterator[tuple[int, Arrays]]:
        first = 0
        while first < len(sizes):
            last, size = first + 1, sizes[first]
            while last < len(sizes) and size + sizes[last] <= chunk_bytes:
                last, size = last + 1, size + sizes[last]
            if size > LARGE_CLUSTER:
                what = f"a cluster of '{self.name}' holds {size / 1e6:.0f} MB of the branches in use"
                logger.warning(
                    "%s: %s, which are read at once; clusters of fewer entries need less memory", self.path, what
                )
            entries = self._clusters(form, first, last)
            step = max(1, int(chunk_bytes * len(entries) / max(1, size)))
            for start in range(0, len(entries), step):
                some = entries[start : start + step]
                yield len(some), {column: self.take(column, some[column.branch]) for column in columns}
            del entries, some  # before the next ones are read
            first = last

    def _form(self, columns: Sequence[Column]) -> ak.forms.Form:
        """Return the form of some columns: records of fields, with no more of their members than needed."""
        wanted: dict[str, list[str]] = {}
        for column in columns:
            # A tuple, whose members have numbers, is read with all of them.
            path = ".".join([column.branch, *takewhile(lambda name: not name.isdigit(), column.members)])
            fields = [field for field in self._fields if field == path or field.startswith(f"{path}.")]
            wanted.setdefault(column.branch, []).extend(fields)
        forms = [self._ntuple.field_form(self._fields[top].field_id, keys) for top, keys in wanted.items()]
        return ak.forms.RecordForm(forms, list(wanted))

    def _bytes_of_clusters(self, form: ak.forms.Form) -> list[int]:
        """Return the bytes of the columns of a form in memory, cluster by cluster."""
        sizes = {int(_numbers(name)[0]): dtype.itemsize for name, dtype in form.expected_from_buffers().items()}
        return [
            sum(size * page.num_elements for n, size in sizes.items() if n < len(columns) for page in columns[n].pages)
            for columns in self._ntuple.page_link_list
        ]

    def _clusters(self, form: ak.forms.Form, first: int, last: int) -> ak.Array:
        """Return the entries of some clusters, from the first one up to, but without, the last one."""
        clusters, buffers = self._ntuple.cluster_summaries[first:last], {}
        for name in form.expected_from_buffers():
            number, cardinality = _numbers(name)
            # A field that was added while the file was written has no elements before.
            lacking = self._ntuple.column_records[int(number)].first_element_index - clusters[0].num_first_entry
            content = self._ntuple.read_cluster_range(int(number), first, last, missing_element_padding=max(0, lacking))
            buffers[name] = np.diff(content) if cardinality else content
        return ak.from_buffers(form, sum(c.num_entries for c in clusters), buffers)


def _numbers(buffer: str) -> tuple[str, str | None]:
    """Return the number of the column that is a buffer, and whether it holds lengths of lists."""
    found = _BUFFER.fullmatch(buffer)
    if found is None:
        raise NotImplementedError(f"{buffer} is neither a number nor a list")
    return found[1], found[2]
