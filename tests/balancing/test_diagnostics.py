"""What is said about weights that rest on few jets, jets that repeat often, and splits without jets."""

import numpy as np

from jetmill.balancing.diagnostics import empty_bin_warnings, repeat_warnings, split_warnings, weight_warnings


def of_jets(*classes):
    """Return counts and weights of classes whose jets have these weights, a bin for each."""
    width = max(map(len, classes))
    weights = np.array([[*w, *[0.0] * (width - len(w))] for w in classes])
    return (weights > 0).astype(int), weights


def test_the_effective_number_of_jets():
    w = np.r_[np.ones(999), 5000.0]
    effective = w.sum() ** 2 / (w**2).sum()
    assert effective < 10
    texts = weight_warnings("flat", ["b", "light"], *of_jets(w, np.ones(1000)))
    assert texts == [
        f"weights 'flat': the 1000 jets of class b count as {effective:.3g} effectively",
        f"weights 'flat': a single jet has {5000 / 5999:.1%} of the weight of class b",
    ]


def test_one_heavy_jet_among_many():
    assert weight_warnings("a", ["b"], *of_jets(np.r_[np.ones(1000), 10.0])) == []
    (text,) = weight_warnings("a", ["b"], *of_jets(np.r_[np.ones(1000), 11.0]))
    assert text == "weights 'a': a single jet has 1.1% of the weight of class b"


def test_a_class_without_jets_is_the_business_of_others():
    counts, weights = of_jets(np.ones(1000), np.zeros(1000))
    assert weight_warnings("a", ["b", "c"], counts, weights) == []


def test_jets_that_are_written_more_than_ten_times():
    times = np.zeros((2, 15), dtype=np.int64)
    times[0, [0, 1, 10]] = 5, 7, 3
    assert repeat_warnings("train", ["b", "c"], times) == []
    times[1, [11, 13]] = 4, 2
    assert repeat_warnings("train", ["b", "c"], times) == [
        "train: 6 jets of class c are written more than 10 times, up to 13 times"
    ]
    assert repeat_warnings("train", ["b", "c"], times[:, :3]) == []


def test_splits_without_jets():
    splits, classes, counts = ["train", "val", "test"], ["b", "c", "s"], np.zeros((3, 3), dtype=np.int64)
    counts[0, :2] = counts[1] = 1
    assert split_warnings(splits, classes, counts) == ["no jets in test"]
    counts[2] = 1, 0, 0
    assert split_warnings(splits, classes, counts) == ["no jets of class c in test"]


def test_bins_that_a_class_cannot_fill():
    counts = np.array([[[0, 10], [500, 0]], [[10, 80], [900, 0]], [[0, 0], [0, 0]]])
    assert empty_bin_warnings(["b", "c", "s"], counts) == [
        "class b has no training jets in 1 of the 3 bins with jets, and cannot be balanced there; they hold 1.0% of the"
        " jets of other classes; take wider bins"
    ]
    counts[1, 0, 0] = 9
    assert empty_bin_warnings(["b", "c", "s"], counts) == []
