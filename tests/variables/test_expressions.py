import contextlib
import warnings
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetmill.errors import JetmillError
from jetmill.variables.expressions import Expression

NAN = np.nan
PT = np.array([10, 20, 30, 40, NAN], dtype=np.float32)
ETA = np.array([-2.5, 0.3, 0.0, 2.4, 1.0], dtype=np.float32)
FLAVOUR = np.array([5, 5, 4, 0, 5], dtype=np.int32)
N_B = np.array([1, 2, 0, 0, 200], dtype=np.uint8)
TIGHT = np.array([True, False, True, False, True])
COLUMNS = {"pt": PT, "eta": ETA, "flavour": FLAVOUR, "n_b": N_B, "tight": TIGHT}

X, Y, F, N = PT.astype(float), ETA.astype(float), FLAVOUR.astype(int), N_B.astype(int)


def evaluate(text):
    return Expression(text)(COLUMNS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flavour == 5 & n_b <= 1", (F == 5) & (N <= 1)),
        ("flavour == 5 && n_b <= 1", (F == 5) & (N <= 1)),
        ("flavour == 4 | flavour == 0", (F == 4) | (F == 0)),
        ("flavour == 4 || flavour == 0", (F == 4) | (F == 0)),
        ("flavour == 4 or flavour == 0 and pt > 50", (F == 4) | ((F == 0) & (X > 50))),
        ("flavour == 4 | flavour == 0 & pt > 50", (F == 4) | ((F == 0) & (X > 50))),
        ("(flavour == 4 | flavour == 0) & pt > 35", ((F == 4) | (F == 0)) & (X > 35)),
        ("~flavour == 5", ~(F == 5)),
        ("!flavour == 5", ~(F == 5)),
        ("!(flavour == 5) & ~(pt > 35)", ~(F == 5) & ~(X > 35)),
        ("~tight & pt < 30", ~TIGHT & (X < 30)),
        ("flavour != 5", F != 5),
        ("flavour!=5", F != 5),
        ("10 < pt <= 30", (X > 10) & (X <= 30)),
        ("flavour in (4, 5)", np.isin(F, [4, 5])),
        ("flavour in [4]", F == 4),
        ("flavour not in (4, 5) & pt > 0", ~np.isin(F, [4, 5]) & (X > 0)),
        ("~flavour in (4, 5)", ~np.isin(F, [4, 5])),
        ("pt > 0", [True, True, True, True, False]),
        ("pt <= 1e9", [True, True, True, True, False]),
        ("pt == pt", [True, True, True, True, False]),
        ("pt in (10, 40)", [True, False, False, True, False]),
        ("True", True),
        ("flavour == 5 & True", F == 5),
    ],
)
def test_logic(text, expected):
    np.testing.assert_array_equal(evaluate(text), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pt + eta * 2", X + Y * 2),
        ("-pt ** 2", -(X**2)),
        ("+pt / 3", X / 3),
        ("flavour / 2", F / 2),
        ("flavour // 2", F // 2),
        ("flavour % 3", F % 3),
        ("pt * cosh(eta)", X * np.cosh(Y)),
        ("sqrt(pt) - exp(eta)", np.sqrt(X) - np.exp(Y)),
        ("log(pt) + log10(pt) + log1p(pt)", np.log(X) + np.log10(X) + np.log1p(X)),
        ("hypot(pt, eta) + arctan2(eta, pt)", np.hypot(X, Y) + np.arctan2(Y, X)),
        ("sin(eta) + cos(eta) * tan(eta)", np.sin(Y) + np.cos(Y) * np.tan(Y)),
        ("sinh(eta) + tanh(eta) + arcsinh(eta)", np.sinh(Y) + np.tanh(Y) + np.arcsinh(Y)),
        ("floor(eta)", np.floor(Y)),
        ("abs(eta)", np.abs(Y)),
        ("min(pt, 25)", np.minimum(X, 25)),
        ("max(pt, n_b)", np.maximum(X, N)),
        ("where(pt > 25, eta, -1)", np.where(X > 25, Y, -1)),
        ("2 * pi * eta", 2 * np.pi * Y),
        ("log(pt - 10)", [-np.inf, *np.log(X[1:4] - 10), NAN]),
        ("sqrt(-pt)", [NAN] * 5),
    ],
)
def test_arithmetic(text, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(evaluate(text), expected)


def test_float32_is_compared_in_64_bits():
    assert float(np.float32(0.3)) > 0.3
    assert not evaluate("eta <= 0.3")[1]
    assert evaluate("eta > 0.3")[1]
    np.testing.assert_array_equal(evaluate("eta * 1.1"), ETA.astype(np.float64) * 1.1)


@pytest.mark.parametrize(
    ("text", "last"), [("n_b + 100", 300), ("n_b * n_b", 40_000), ("-n_b", -200), ("n_b - 201", -1)]
)
def test_uint8_does_not_wrap(text, last):
    assert evaluate(text)[-1] == last


def test_large_uint64_does_not_wrap():
    event = np.array([2**63 + 1, 7], dtype=np.uint64)
    np.testing.assert_array_equal(Expression("event > 10")({"event": event}), [True, False])


@pytest.mark.parametrize(
    "text",
    [
        "pt.real",
        "pt.__class__",
        "pt[0]",
        "lambda: 1",
        "lambda x: x",
        "'b'",
        "flavour == 'b'",
        "f'{pt}'",
        "b'x'",
        "[pt]",
        "(pt, eta)",
        "pt == (1, 2)",
        "flavour in 5",
        "flavour in pt",
        "flavour in (4, (5, 6))",
        "{1, 2}",
        "{1: 2}",
        "pt if tight else eta",
        "[x for x in (1, 2)]",
        "(x := 3)",
        "abs(x=pt)",
        "abs(*pt)",
        "pt is eta",
        "pt @ eta",
        "pt << 1",
        "pt ^ eta",
        "1j",
        "None",
        "...",
        "(abs)(pt).real",
        "abs(pt)(eta)",
    ],
)
def test_refused_syntax_names_the_expression(text):
    with pytest.raises(JetmillError) as error:
        Expression(text)
    assert f"expression '{text}'" in str(error.value)
    assert "not allowed" in str(error.value)


def test_refusal_shows_the_culprit():
    with pytest.raises(JetmillError, match=r"'pt\.real' is not allowed here"):
        Expression("eta < 2 & pt.real > 20")


@pytest.mark.parametrize("text", ["", "   ", "pt >", "pt > 20 &", "pt = 20", "pt 20", "(pt", "pt == ~eta", "import os"])
def test_what_cannot_be_read_names_the_expression(text):
    with pytest.raises(JetmillError) as error:
        Expression(text)
    assert f"expression '{text}' cannot be read" in str(error.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("sqr(pt)", "Did you mean 'sqrt'?"), ("ABS(eta)", "Did you mean 'abs'?"), ("__import__(pt)", "Known: abs, ")],
)
def test_unknown_function_names_the_nearest(text, hint):
    with pytest.raises(JetmillError) as error:
        Expression(text)
    assert f"unknown function '{text.split('(')[0]}'" in str(error.value)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abs(pt, eta)", r"abs\(\) takes 1 argument\(s\), found 2"),
        ("hypot(pt)", r"hypot\(\) takes 2 argument\(s\), found 1"),
        ("where(pt > 1, eta)", r"where\(\) takes 3 argument\(s\), found 2"),
        ("sqrt()", r"sqrt\(\) takes 1 argument\(s\), found 0"),
    ],
)
def test_wrong_number_of_arguments(text, message):
    with pytest.raises(JetmillError, match=message):
        Expression(text)


@pytest.mark.parametrize(
    "text",
    ["-(pt > 15)", "(pt > 15) - (eta > 0)", "flavour ** -1", "pt > 1 // 0", "pt > 1 % 0", "n_b + 10 ** 30", "pt\0"],
)
def test_numpy_and_python_errors_do_not_leak(text):
    with contextlib.suppress(JetmillError):
        evaluate(text)


def test_names_are_the_variables_alone():
    assert Expression("abs(eta) < pi & where(tight, pt, 2) > 1 | flavour in (4, n_b)").names == {
        *("eta", "tight", "pt", "flavour", "n_b")
    }


ATOMS = {
    "pt > 15": X > 15,
    "eta<=0.3": Y <= 0.3,
    "flavour == 5": F == 5,
    "flavour != 4": F != 4,
    "n_b in (1, 2)": np.isin(N, [1, 2]),
    "tight": TIGHT,
    "pt + eta < 31": X + Y < 31,
}
TERMS = st.tuples(st.sampled_from(["", "~", "!", "not ", "~~"]), st.sampled_from(sorted(ATOMS)))
AND, OR = st.sampled_from(["&", "&&", " and "]), st.sampled_from(["|", "||", " or "])


@given(st.lists(st.tuples(OR, st.lists(st.tuples(AND, TERMS), min_size=1, max_size=4)), min_size=1, max_size=4))
def test_precedence_is_not_and_or(alternatives):
    text, either = "", []
    for number, (or_sign, terms) in enumerate(alternatives):
        every = []
        for place, (and_sign, (sign, atom)) in enumerate(terms):
            glue = (and_sign if place else or_sign) if place or number else ""
            text += f"{glue}{sign}{atom}"
            every.append(~ATOMS[atom] if sign in ("~", "!", "not ") else ATOMS[atom])
        either.append(reduce(np.logical_and, every))
    np.testing.assert_array_equal(evaluate(text), reduce(np.logical_or, either))
