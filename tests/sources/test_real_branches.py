"""Branches of real files, named as variables of jets, events or constituents: read as uproot does, or one line."""

import re
from collections import Counter, defaultdict
from contextlib import contextmanager

import awkward as ak
import numpy as np
import pytest
import uproot

from jetmill.errors import JetmillError
from jetmill.settings.constituents import Constituents, Origin
from jetmill.settings.input import Input
from jetmill.sources import UnreadableError
from jetmill.sources.root import open_root
from jetmill.sources.trees.columns import Column
from jetmill.sources.trees.lists import AsLists, Lists

pytestmark = pytest.mark.real_data

# Branches of each type that are read of a tree; some have hundreds, all alike.
OF_A_TYPE = 15
# Trees, and how many of these branches are numbers per event, lists of numbers, and lists of lists.
TREES = {
    ("NanoAODv5_sample.root", "Events"): (70, 60, 0),
    ("nano_tt_v12.root", "Events"): (61, 73, 0),
    ("nano_tt_v15.root", "Events"): (72, 78, 0),
    ("pfnano.root", "Events"): (63, 60, 0),
    ("pfnano.root", "ParameterSets"): (0, 0, 0),
    ("delphes.root", "Delphes"): (15, 54, 9),
    ("treemaker.root", "PreSelection"): (48, 63, 0),
    ("uproot-HZZ-objects.root", "events"): (4, 7, 0),
    ("uproot-demo-double32.root", "T"): (17, 0, 0),
    ("uproot-issue-798.root", "CollectionTree"): (42, 120, 29),
    ("uproot-issue-798.root", "POOLContainerForm"): (0, 0, 1),
    ("physlite_ttbar_100events.root", "CollectionTree"): (46, 116, 18),
    ("physlite_ttbar_100events.root", "POOLCollectionTree"): (12, 0, 0),
    # RNTuples; of every sixth of their fields.
    ("pfnano_rntuple.root", "Events"): (38, 59, 0),
    ("uproot-physlite-rntuple_v1-0-0-0.root", "EventData"): (12, 71, 6),
}
# As awkward prints the type of an entry.
NUMBER = r"(bool|u?int\d+|float\d+)"
KINDS = {"number": NUMBER, "list": rf"var \* {NUMBER}", "lists": rf"var \* (var|\d+) \* {NUMBER}"}


class RealTree:
    """A tree as uproot alone reads it.

    Attributes
    ----------
    arrays
        Branch to values, for branches that uproot reads.
    kinds
        Branch to number, list, lists (of numbers) or other.
    """

    def __init__(self, path, name):
        self.path, self.name = path, name
        self.arrays, self.kinds, self.types = {}, {}, {}
        n_of_type = Counter()
        with uproot.open(path) as file:
            opened = file[name]
            self.is_rntuple = not isinstance(opened, uproot.TTree)
            fields = [(field.path, field) for field in opened.all_fields if field.path] if self.is_rntuple else []
            for branch, found in fields[::6] or opened.items():
                n_of_type[found.typename] += 1
                if n_of_type[found.typename] > OF_A_TYPE:
                    continue
                self.types[branch], self.kinds[branch] = found.typename, "other"
                # uproot raises anything where it cannot read.
                try:
                    array = found.array()
                except Exception:
                    continue
                self.arrays[branch] = array
                kinds = [kind for kind, entry in KINDS.items() if re.fullmatch(entry, str(array.type.content))]
                self.kinds[branch] = kinds[0] if kinds else "other"

    def column(self, branch):
        first, *members = branch.split(".") if self.is_rntuple else [branch]
        return Column(first, tuple(members))

    def named(self, kind):
        return [branch for branch, found in self.kinds.items() if found == kind]

    @contextmanager
    def opened(self, level="event", constituents=()):
        """Open the tree with a collection for each of some branches, named by its number among them."""
        tables = [re.split(r"[._](?=[^._]*$)", branch)[0] for branch in constituents]
        collections = {
            f"c{n}": Constituents(variables=("any",), tree=Origin(branches=table)) for n, table in enumerate(tables)
        }
        with open_root(str(self.path), Input(tree=self.name, level=level, jets=""), collections) as source:
            yield source


@pytest.fixture(scope="module", params=TREES, ids=" ".join)
def tree(request, shared_data):
    file, name = request.param
    found = RealTree(shared_data(file), name)
    # Below, only what there is enough of is tested.
    assert tuple(len(found.named(kind)) for kind in KINDS) == TREES[request.param]
    return found


def flat(array):
    return ak.to_numpy(ak.flatten(array, axis=None))


def check_refusal(tree, branch, call, expected):
    """See that there is one line with the branch, its type and what is expected, and no traceback."""
    with pytest.raises(JetmillError) as error:
        call()
    message = str(error.value)
    assert message.startswith(f"{tree.path}: ")
    assert "\n" not in message
    if branch in tree.arrays or not isinstance(error.value, UnreadableError):
        assert f"branch '{branch}' ({tree.types[branch]}) " in message
        assert expected in message or " cannot be read (" in message
    else:
        # Where uproot finds other bytes than it expects, which damage may do as well.
        assert f"{tree.name};" in message
        assert branch in message
        assert "wrong number of bytes" in message


def check_columns(tree, source, names, per_event=None):
    """See that some variables, read together, are those of uproot."""
    types, chunks = source.dtypes(names), list(source.chunks(names, {}))
    for name in names:
        found, expected = np.concatenate([chunk.columns[name] for chunk in chunks]), flat(tree.arrays[name])
        if per_event is not None and tree.kinds[name] == "number":
            expected = np.repeat(expected, per_event)
        assert found.dtype == types[name] == expected.dtype
        np.testing.assert_array_equal(found, expected)


def by_counts(tree):
    """Return branches of lists that are as long as each other in every event, by these lengths."""
    groups = defaultdict(list)
    for branch in tree.named("list"):
        groups[tuple(ak.num(tree.arrays[branch]).to_list())].append(branch)
    return groups


def test_as_variables_of_events_and_their_jets(tree):
    numbers, groups = tree.named("number"), by_counts(tree)
    with tree.opened() as source:
        if groups:
            counts, jets = max(groups.items())
            check_columns(tree, source, [*numbers, jets[0]], counts)
        for counts, branches in groups.items():
            check_columns(tree, source, branches, counts)
        for branch in [*tree.named("lists"), *tree.named("other")]:
            check_refusal(tree, branch, lambda: read_all(source, branch), "is not one number per jet")  # noqa: B023


def test_as_variables_of_a_tree_of_jets(tree):
    with tree.opened(level="jet") as source:
        if numbers := tree.named("number"):
            check_columns(tree, source, numbers)
        for branch in set(tree.kinds) - set(numbers):
            check_refusal(tree, branch, lambda: read_all(source, branch), "is not one number per entry")  # noqa: B023


def read_all(source, branch):
    source.dtypes([branch])
    for _ in source.chunks([branch], {}):
        pass


@pytest.mark.parametrize(("level", "right"), [("event", "lists"), ("jet", "list")])
def test_as_variables_of_constituents(tree, level, right):
    """Of nested branches; the counts of jets are those of the branch itself."""
    in_tables = (branch for branch in tree.kinds if re.search(r".[._][^._]+$", branch))
    # What the types do not say, that uproot finds other bytes than it expects, is as it is for jets.
    branches = [branch for branch in in_tables if branch in tree.arrays or not tree.types[branch].endswith("t[]")]
    with tree.opened(level, branches) as source:
        for number, branch in enumerate(branches):
            collection, name = f"c{number}", re.split(r"[._](?=[^._]*$)", branch)[1]
            if tree.kinds[branch] != right:
                expected = "is not one number per constituent"
                check_refusal(tree, branch, lambda: source.constituent_dtypes(collection, [name]), expected)  # noqa: B023
                continue
            array = tree.arrays[branch]
            types = source.constituent_dtypes(collection, [name])
            per_event = ak.to_numpy(ak.num(array)) if level == "event" else np.ones(len(array), dtype=int)
            jets = np.ones(per_event.sum(), dtype=bool)
            lists = {tree.column(branch): Lists.of(array)}
            counts, columns = source.constituents(collection, [name], lists, per_event, jets)
            np.testing.assert_array_equal(counts, flat(ak.num(array, axis=-1)))
            np.testing.assert_array_equal(columns[name], flat(array))
            assert columns[name].dtype == types[name]


def test_plain_lists_are_those_of_awkward(tree):
    """Whatever the entries: branches of std::vector have 10 bytes before each list, others none."""
    if tree.is_rntuple:
        pytest.skip("read otherwise")
    with uproot.open(tree.path) as file:
        found = file[tree.name]
        plain = {name: lists for name in tree.arrays if (lists := AsLists.like(found[name].interpretation))}
        if not plain:
            pytest.skip("objects alone")
        start, stop = found.num_entries // 3, found.num_entries
        for first, last in ((0, stop), (start, stop), (start, start + 1)):
            read = found.arrays([*plain.items()], library="np", how=dict, entry_start=first, entry_stop=last)
            for name, lists in read.items():
                expected = Lists.of(tree.arrays[name][first:last])
                np.testing.assert_array_equal(lists.values, expected.values, strict=True)
                np.testing.assert_array_equal(lists.counts, expected.counts)
