"""Integers in expressions, against Python's own, which are exact: one jet at a time."""

import math
import operator
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetmill.errors import JetmillError
from jetmill.variables.expressions import Expression
from jetmill.variables.missing import mark_missing

NAN = np.nan
TYPES = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
BITS = np.array([0, 1, 2, 3, 4, 5, 6, 7], dtype=np.uint8)


def evaluate(text, **columns):
    return Expression(text)(columns)


# --- exact, whatever the size ---


def numbers(dtype):
    limits = np.iinfo(dtype)
    near = [limits.min, limits.max, 0, 2**53, 2**62, 2**63, -(2**63), 400_000_000]
    edges = st.sampled_from([n + d for n in near for d in (-1, 0, 1) if limits.min <= n + d <= limits.max])
    return st.one_of(edges, st.integers(limits.min, limits.max), st.integers(max(limits.min, -9), 9))


@st.composite
def integer_columns(draw):
    n = draw(st.integers(1, 4))
    types = {name: draw(st.sampled_from(TYPES)) for name in "ab"}
    return {name: np.array([draw(numbers(t)) for _ in range(n)], dtype=t) for name, t in types.items()}


def by_zero_is_nan(function):
    return lambda x, y: NAN if y == 0 or x != x or y != y else function(x, y)


# nan + 1 is nan for Python too.
BINARY = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": by_zero_is_nan(operator.floordiv),
    "%": by_zero_is_nan(operator.mod),
}
COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@st.composite
def integer_expressions(draw, depth=3):
    """Return the text of an expression of integers, and a function of a row that computes it."""
    kind = draw(st.sampled_from(["name", "number", *BINARY, "-x", "abs", "**", "min", "where"] if depth else ["name"]))
    if kind == "name":
        name = draw(st.sampled_from("ab"))
        return name, lambda row: row[name]
    if kind == "number":
        number = draw(st.one_of(st.integers(0, 9), st.sampled_from([400_000_000, 2**53 + 1, 2**63, 2**64])))
        return str(number), lambda _: number
    text, of = draw(integer_expressions(depth=depth - 1))
    if kind == "-x":
        return f"(-{text})", lambda row: -of(row)
    if kind == "abs":
        return f"abs({text})", lambda row: abs(of(row))
    if kind == "**":
        exponent = draw(st.integers(0, 3))
        return f"({text}) ** {exponent}", lambda row: NAN if of(row) != of(row) else of(row) ** exponent
    other, of_other = draw(integer_expressions(depth=depth - 1))
    if kind == "min":
        return f"min({text}, {other})", lambda row: min_or_nan(of(row), of_other(row))
    if kind == "where":
        return (
            f"where({text} < {other}, {text}, {other})",
            lambda row: of(row) if of(row) < of_other(row) else of_other(row),
        )
    return f"(({text}) {kind} ({other}))", lambda row: BINARY[kind](of(row), of_other(row))


def min_or_nan(x, y):
    return NAN if x != x or y != y else min(x, y)


def rows_of(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]


@given(integer_columns(), integer_expressions())
def test_results_are_those_of_mathematics(columns, expression):
    text, of = expression
    found = np.broadcast_to(evaluate(text, **columns), len(columns["a"])).tolist()
    # What does not fit into 64 bits comes as the nearest double.
    for value, row in zip(found, rows_of(columns), strict=True):
        expected = of(row)
        assert value == (float(expected) if isinstance(value, float) else expected) or (
            math.isnan(value) and math.isnan(expected)
        ), (text, row)


@given(integer_columns(), integer_expressions(), integer_expressions(), st.sampled_from(sorted(COMPARISONS)))
def test_comparisons_of_integers_are_exact(columns, one, other, sign):
    found = np.broadcast_to(evaluate(f"{one[0]} {sign} {other[0]}", **columns), len(columns["a"]))
    assert found.tolist() == [COMPARISONS[sign](one[1](row), other[1](row)) for row in rows_of(columns)]


@given(
    integer_columns(),
    st.one_of(st.floats(), st.sampled_from([2.0**53, 2.0**62, 2.0**63, 2.0**64, -(2.0**63), 1.8e19])),
    st.sampled_from(sorted(COMPARISONS)),
)
def test_comparisons_of_integers_with_floats_are_exact(columns, number, sign):
    x = np.full(len(columns["a"]), number)
    found, turned = evaluate(f"a {sign} x", x=x, **columns), evaluate(f"x {sign} b", x=x, **columns)
    assert found.tolist() == [COMPARISONS[sign](n, number) for n in columns["a"].tolist()]
    assert turned.tolist() == [COMPARISONS[sign](number, n) for n in columns["b"].tolist()]


@given(integer_columns(), st.lists(st.one_of(st.integers(-9, 9), st.just(2**63), st.floats(-9, 9)), max_size=4))
def test_lists_are_compared_exactly(columns, listed):
    values = ", ".join(map(str, listed))
    found = evaluate(f"a in [{values}]", **columns), evaluate(f"a not in [{values}]", **columns)
    expected = [n in listed for n in columns["a"].tolist()]
    assert np.broadcast_to(found[0], len(expected)).tolist() == expected
    assert np.broadcast_to(found[1], len(expected)).tolist() == [not x for x in expected]


def test_events_below_a_number():
    event = np.array([0, 399_999_999, 400_000_000, 2**63 + 5], dtype=np.uint64)
    assert evaluate("event - 400000000 < 0", event=event).tolist() == [True, True, False, False]
    assert evaluate("-event < 0", event=event).tolist() == [False, True, True, True]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_neighbours_beyond_doubles_are_distinguished(dtype):
    event = np.array([2**62, 2**62 + 1], dtype=dtype)
    assert evaluate(f"event == {2**62 + 1}", event=event).tolist() == [False, True]
    assert evaluate("event > 4611686018427387904.0", event=event).tolist() == [False, True]
    other = np.array([2**62 + 1, 2**62 + 1], dtype=np.int64)
    assert evaluate("event == other", event=event, other=other).tolist() == [False, True]
    assert evaluate("event % 2", event=event).tolist() == [0, 1]
    assert evaluate("event * event - event * (event - 1) - event", event=event).tolist() == [0, 0]


def test_conditions_count_as_0_and_1():
    tight, n = np.array([True, False]), np.array([1, 1], dtype=np.uint8)
    assert evaluate("(n > 0) + tight + tight", n=n, tight=tight).tolist() == [3, 1]
    assert evaluate("-tight - (n > 0)", n=n, tight=tight).tolist() == [-2, -1]
    assert evaluate("tight == (n > 0)", n=n, tight=tight).tolist() == [True, False]
    assert evaluate("tight / 3", n=n, tight=tight).tolist() == [1 / 3, 0]
    assert evaluate("sqrt(tight) * 1", tight=tight).dtype == np.float64


def test_division_by_zero_is_missing():
    n, d = np.array([7, -7, 0], dtype=np.int32), np.array([2, 0, 0], dtype=np.int32)
    np.testing.assert_array_equal(evaluate("n // d", n=n, d=d), [3, NAN, NAN])
    np.testing.assert_array_equal(evaluate("n % d", n=n, d=d), [1, NAN, NAN])
    np.testing.assert_array_equal(evaluate("where(d > 0, n // d, -1)", n=n, d=d), [3, -1, -1])
    for text, expected in {"n // d < 5": [True, False, False], "n // d != 3": [False, True, True]}.items():
        assert evaluate(text, n=n, d=d).tolist() == expected


def test_powers():
    n = np.array([-3, 0, 10], dtype=np.int8)
    assert evaluate("n ** 2", n=n).tolist() == [9, 0, 100]
    assert evaluate("n ** 40 == 10 ** 40", n=n).tolist() == [False, False, True]
    # Other exponents give floats.
    np.testing.assert_array_equal(evaluate("n ** -1", n=n), [-1 / 3, np.inf, 0.1])
    np.testing.assert_array_equal(evaluate("2 ** n", n=n), [0.125, 1, 1024])
    assert evaluate("m ** 99999999999", m=np.array([-1, 0, 1])).tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "9**9**9",
            "expression '9**9**9' cannot be computed: a result is an integer beyond 2**1023; multiply an operand",
        ),
        ("2**9999999999 > pt", "cannot be computed: a result is an integer beyond 2**1023"),
        ("pt < 10**400", "cannot be computed: a result is an integer beyond 2**1023"),
        ("pt < 1" + 400 * "0", "': a result is an integer beyond 2**1023"),
        ("pt < 1" + 9999 * "0", "cannot be read: Exceeds the limit"),
        ("-9**9**9**9", "cannot be computed: a result is an integer beyond 2**1023"),
    ],
)
def test_constants_beyond_all_bounds_are_refused_at_once(text, message):
    start = time.process_time()
    with pytest.raises(JetmillError) as error:
        Expression(text)
    assert message in str(error.value)
    assert time.process_time() - start < 1


def test_results_beyond_all_bounds_are_refused():
    event = np.array([1, 2**60])
    with pytest.raises(JetmillError, match=r"expression 'event \*\* 20' cannot be computed: a result is an integer"):
        evaluate("event ** 20", event=event)
    with pytest.raises(JetmillError, match=r"multiply an operand by 1\.0"):
        evaluate("event ** 10 * event ** 10", event=event)
    assert evaluate("(1.0 * event) ** 20 > 1e300", event=event).tolist() == [False, True]


# --- bits ---


@given(integer_columns())
def test_bits_are_those_of_integers(columns):
    of = {
        "a & b": lambda a, b: a & b,
        "a | b": lambda a, b: a | b,
        "~a & b": lambda a, b: ~a & b,
        "~(a | b)": lambda a, b: ~(a | b),
    }
    for text, function in of.items():
        for row, found in zip(rows_of(columns), evaluate(f"({text}) + 0 * a", **columns).tolist(), strict=True):
            assert found == (function(**row) if isinstance(found, int) else float(function(**row))), text
    one, other = (np.array(columns[name].tolist(), dtype=object) for name in "ab")
    assert evaluate("(a & b) == (b & a)", **columns).all()
    np.testing.assert_array_equal(evaluate("(a & 4) != 0 & b > 3", **columns), ((one & 4) != 0) & (other > 3))


def test_bits_of_a_flag():
    """As the pile-up identification of NanoAOD: 4 is loose, 6 medium, 7 tight."""
    assert evaluate("(puId & 1) == 1", puId=BITS).tolist() == [False, True] * 4
    assert evaluate("(puId & 6) == 6", puId=BITS).tolist() == [False] * 6 + [True] * 2
    assert evaluate("(~puId & 4) == 4 | puId == 7", puId=BITS).tolist() == [True] * 4 + [False] * 3 + [True]


def test_double_signs_and_words_are_logical_as_in_c():
    n, m = BITS, BITS[::-1]
    both, either = (n != 0) & (m != 0), (n != 0) | (m != 0)
    for text in ("n && m", "n and m", "n && m > 0", "n != 0 & m != 0"):
        assert evaluate(text, n=n, m=m).tolist() == both.tolist(), text
    for text in ("n || m", "n or m", "n > 0 or m", "n != 0 | m != 0"):
        assert evaluate(text, n=n, m=m).tolist() == either.tolist(), text
    for text in ("!n", "not n", "! (n)", "not(n > 0)", "~(n && 1)"):
        assert evaluate(text, n=n).tolist() == (n == 0).tolist(), text
    pt = np.array([0, 1.5, NAN])
    assert evaluate("pt && 1", pt=pt).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "puId & 1 == 1",
            "on the two sides of &, 'puId' is an integer and '1 == 1' a condition;"
            " write (puId & 1) == 1 to compare bits, or puId != 0 to use it as a condition",
        ),
        ("pt > 1 & puId & 4 != 0", "write (puId & 4) != 0 to compare bits, or puId != 0 to use it as a condition"),
        (
            "pt > 20 & puId",
            "'puId' is an integer and 'pt > 20' a condition; write puId != 0 to use it as a condition",
        ),
        ("puId|tight", "'puId' is an integer and 'tight' a condition; write puId != 0"),
        ("(puId + 1) & tight", "write (puId + 1) != 0"),
        ("abs(puId) & ~tight", "'abs(puId)' is an integer and '~tight' a condition; write abs(puId) != 0"),
        ("(puId && 1) & puId", "'puId' is an integer and 'puId && 1' a condition"),
        ("pt & 1", "'pt' is a float, and & is for conditions and for bits of integers; to use it as a condition"),
        ("tight | pt / 2", "'pt / 2' is a float, and | is for conditions and for bits of integers"),
        ("~pt > 1 & ~pt", "'pt' is a float, and ~ is for conditions and for bits of integers"),
        ("puId & 1.0", "'1.0' is a float"),
        ("puId & 1 / 2", "'1 / 2' is a float"),
    ],
)
def test_mixtures_say_what_to_write(text, message):
    columns = {"puId": BITS, "pt": np.linspace(0, 9, 8), "tight": BITS > 3}
    with pytest.raises(JetmillError) as error:
        evaluate(text, **columns)
    assert str(error.value).startswith(f"expression '{text}' cannot be computed: ")
    assert message in str(error.value)


def test_what_messages_advise_works():
    columns = {"puId": BITS, "pt": np.linspace(0, 9, 8)}
    assert evaluate("(puId & 1) == 1", **columns).tolist() == [False, True] * 4
    assert evaluate("pt > 2 & puId != 0", **columns).tolist() == [False] * 2 + [True] * 6


@pytest.mark.parametrize("text", ["puId == ~3", "1 + ~puId", "puId > !pt"])
def test_signs_after_operators_need_parentheses(text):
    with pytest.raises(JetmillError, match=r"cannot be read: invalid syntax; put [~!] and what it applies to in paren"):
        Expression(text)
    assert Expression("puId == (~3)")({"puId": np.array([-4, 3])}).tolist() == [True, False]


# --- missing values ---


def test_integers_with_missing_values_stay_integers():
    """Whatever chunk they are in: a missing value makes floats of a column."""
    big = 2**60 + 1
    columns = mark_missing({"n": np.array([5, big, -1]), "m": np.array([4, 2**60, 3])}, values=[-1])
    assert columns["n"].dtype == np.float64
    np.testing.assert_array_equal(Expression("n - m")(columns), [1, 1, NAN])
    assert Expression("(n & 1) == 1")(columns).tolist() == [True, True, False]
    assert Expression(f"n == {big}")(columns).tolist() == [False, True, False]
    assert Expression("n != 5")(columns).tolist() == [False, True, True]
    assert Expression("n in (5, 6)")(columns).tolist() == [True, False, False]
    assert Expression("~(n > 1)")(columns).tolist() == [False, False, True]
    assert Expression("n && 1")(columns).tolist() == [True, True, False]
    np.testing.assert_array_equal(Expression("abs(n) + n // 2 + n % 2 + n ** 2")(columns)[[0, 2]], [33, NAN])
    np.testing.assert_array_equal(Expression("where(n > 5, 1, n)")(columns), [5, 1, NAN])
    np.testing.assert_array_equal(Expression("sqrt(n)")(columns)[[0, 2]], [np.sqrt(5), NAN])


def test_conditions_with_missing_values_stay_conditions():
    columns = mark_missing({"flag": np.array([True, False]), "x": np.array([1.0, 1])}, values_of={"flag": [1]})
    assert Expression("flag & x > 0")(columns).tolist() == [False, False]
    assert Expression("~flag & x > 0")(columns).tolist() == [True, True]


# --- size ---


def test_twenty_thousand_conditions():
    run = np.array([0, 777, 19_999, 20_000, 123_456])
    conditions = [f"(run == {k} & run > 10)" for k in range(20_000)]
    assert evaluate(" | ".join(conditions), run=run).tolist() == [False, True, True, False, False]
    text = " || ".join(conditions[:1000]).replace("&", "and")
    assert evaluate(text, run=run).tolist() == [False, True, False, False, False]


def test_a_thousand_terms():
    x = np.array([1, 2])
    assert evaluate(" + ".join(["x"] * 1000), x=x).tolist() == [1000, 2000]
    assert evaluate(" * ".join(["1"] * 999 + ["x"]), x=x).tolist() == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        " + ".join(["x"] * 1001),
        " + ".join(["x"] * 20_000),
        " * ".join(["2"] * 20_000),
        "**".join(["x"] * 20_000),
        "-" * 20_000 + "x",
        "not " * 20_000 + "x",
        "!" * 20_000 + "x",
        "(" * 20_000 + "x" + ")" * 20_000,
        "abs(" * 20_000 + "x" + ")" * 20_000,
        "x < " * 10 + "(" * 20_000,
    ],
    ids=lambda text: text[:8],
)
def test_what_is_nested_too_deep_is_refused(text):
    with pytest.raises(JetmillError) as error:
        Expression(text)
    assert len(str(error.value)) < 600
    assert "nested too deeply" in str(error.value) or "too many nested parentheses" in str(error.value)
