import numpy as np
import pytest

from jetmill.cleaning.cuts import apply_cuts, find_classes
from jetmill.settings.jets import Cut

NAN = np.nan
PT = np.array([10, 30, 50, NAN, 70], dtype=np.float32)
ETA = np.array([0, 1, NAN, 2, -3], dtype=np.float32)
FLAVOUR = np.array([5, 5, 4, 0, 21])
COLUMNS = {"pt": PT, "eta": ETA, "flavour": FLAVOUR}


@pytest.mark.parametrize(
    ("cuts", "passed", "left"),
    [
        ([], [1, 1, 1, 1, 1], []),
        ([Cut(cut="pt >= 20")], [0, 1, 1, 0, 1], [3]),
        ([Cut(cut="pt >= 20", missing="keep")], [0, 1, 1, 1, 1], [4]),
        ([Cut(cut="pt >= 20"), Cut(cut="abs(eta) <= 2.5")], [0, 1, 0, 0, 0], [3, 1]),
        ([Cut(cut="pt >= 20"), Cut(cut="abs(eta) <= 2.5", missing="keep")], [0, 1, 1, 0, 0], [3, 2]),
        # NaN makes these true for numpy, but a jet without the variable does not pass a cut on it.
        ([Cut(cut="~(pt < 20)")], [0, 1, 1, 0, 1], [3]),
        ([Cut(cut="pt != 30")], [1, 0, 1, 0, 1], [3]),
        ([Cut(cut="pt > 60 | flavour == 0")], [0, 0, 0, 0, 1], [1]),
        ([Cut(cut="1 < 2")], [1, 1, 1, 1, 1], [5]),
        # A number that does not exist is not true either.
        ([Cut(cut="flavour // (flavour - 5)")], [0, 0, 1, 0, 1], [2]),
        ([Cut(cut="sqrt(flavour - 6)")], [0, 0, 0, 0, 1], [1]),
        ([Cut(cut="flavour"), Cut(cut="1 > 2")], [0, 0, 0, 0, 0], [4, 0]),
    ],
)
def test_cuts(cuts, passed, left):
    mask, counts = apply_cuts(COLUMNS, cuts)
    np.testing.assert_array_equal(mask, np.array(passed, dtype=bool))
    assert counts == left


@pytest.mark.parametrize(
    ("classes", "labels", "ambiguous"),
    [
        (["flavour == 5", "flavour == 4", "rest"], [0, 0, 1, 2, 2], 0),
        (["flavour == 4", "flavour == 5"], [1, 1, 0, -1, -1], 0),
        (["flavour == 5 & pt < 20", "flavour == 5", "rest"], [0, 1, 2, 2, 2], 1),
        (["flavour >= 4", "flavour == 5", "flavour == 21"], [0, 0, 0, -1, 0], 3),
        (["pt < 1e9", "rest"], [0, 0, 0, 1, 0], 0),
        (["rest"], [0, 0, 0, 0, 0], 0),
    ],
)
def test_labels_are_the_first_true_class(classes, labels, ambiguous):
    found, twice = find_classes(COLUMNS, classes, len(next(iter(COLUMNS.values()))))
    np.testing.assert_array_equal(found, labels)
    assert twice == ambiguous


def test_255_classes():
    flavour = np.arange(255)
    found, _ = find_classes({"flavour": flavour}, [f"flavour == {i}" for i in range(255)], len(flavour))
    np.testing.assert_array_equal(found, flavour)


def test_no_jets():
    empty = {"pt": np.array([], dtype=np.float32)}
    passed, left = apply_cuts(empty, [Cut(cut="pt > 1")])
    assert len(passed) == 0
    assert left == [0]
    assert find_classes(empty, ["pt > 1"], 0)[1] == 0
