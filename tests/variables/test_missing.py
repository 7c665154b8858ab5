import numpy as np
import pytest

from jetmill.variables.missing import is_missing, mark_missing, slot, stored_type

INF, NAN = np.inf, np.nan


def marked(content, dtype=np.float32, **rules):
    return mark_missing({"x": np.array(content, dtype=dtype)}, **rules)["x"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_and_nan_are_always_missing(dtype):
    x = marked([1, INF, -INF, NAN, -999], dtype)
    np.testing.assert_array_equal(x, [1, NAN, NAN, NAN, -999])
    assert x.dtype == dtype


def test_values_concern_every_variable_and_values_of_only_one():
    x = np.array([-999, -1, 3], dtype=np.float32)
    found = mark_missing({"a": x, "b": x}, values=[-999], values_of={"b": [-1]})
    np.testing.assert_array_equal(found["a"], [NAN, -1, 3])
    np.testing.assert_array_equal(found["b"], [NAN, NAN, 3])
    np.testing.assert_array_equal(x, [-999, -1, 3])


def test_a_sentinel_is_compared_in_the_type_of_the_column():
    assert np.isnan(marked([0.1, 0.2], np.float32, values=[0.1])[0])


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        (np.uint8, np.float32),
        (np.int8, np.float32),
        (np.uint16, np.float32),
        (np.int32, np.float64),
        (np.uint64, np.float64),
        (bool, np.float32),
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
    ],
)
def test_stored_type_holds_every_number(dtype, stored):
    assert stored_type(np.dtype(dtype)) == stored


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, np.int64])
def test_integers_become_floats_only_if_something_is_missing(dtype):
    assert marked([1, 2, 3], dtype, values=[-999, 7.5]).dtype == dtype
    x = marked([1, 2, 3], dtype, values=[2])
    assert x.dtype == stored_type(np.dtype(dtype))
    np.testing.assert_array_equal(x, [1, NAN, 3])


@pytest.mark.parametrize(
    ("name", "k"),
    [
        ("trk_0", 0),
        ("trk_11", 11),
        ("trk_x", None),
        ("trk", None),
        ("atrk_0", None),
        ("trk_sum_0", None),
        ("trk_", None),
    ],
)
def test_slot_matches_whole_names_only(name, k):
    assert slot(name, "trk") == k


@pytest.mark.parametrize("count_type", [np.uint8, np.int32, np.float32])
def test_unused_slots_are_missing_whatever_stands_there(count_type):
    counts = np.array([0, 1, 2, 3, 12], dtype=count_type)
    names = [f"trk_{k}" for k in (0, 1, 2, 10)]
    columns = {name: np.array([7e31, -1, 0, 5, 6], dtype=np.float32) for name in names}
    found = mark_missing(columns | {"n": counts, "trk_sum_0": columns["trk_0"]}, slots={"n": ["trk"]})
    for name in names:
        k = int(name[4:])
        np.testing.assert_array_equal(np.isnan(found[name]), [n <= k for n in counts])
        np.testing.assert_array_equal(found[name][counts > k], columns[name][counts > k])
    np.testing.assert_array_equal(found["trk_sum_0"], columns["trk_0"])
    np.testing.assert_array_equal(found["n"], counts)


def test_slots_are_unused_where_the_count_is_missing():
    found = mark_missing(
        {"n": np.array([-999, 2], dtype=np.int32), "trk_0": np.array([4, 5], dtype=np.int32)},
        values=[-999],
        slots={"n": ["trk"]},
    )
    np.testing.assert_array_equal(found["trk_0"], [NAN, 5])
    assert found["trk_0"].dtype == np.float64


def test_is_missing():
    np.testing.assert_array_equal(is_missing(np.array([1.0, NAN])), [False, True])
    np.testing.assert_array_equal(is_missing(np.array([1, 2])), [False, False])
    np.testing.assert_array_equal(is_missing(np.array([True, False])), [False, False])


def test_no_jets():
    assert mark_missing({"n": np.array([], int), "t_0": np.array([], np.float32)}, slots={"n": ["t"]})["t_0"].shape == (
        0,
    )
