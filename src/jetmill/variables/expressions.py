"""Expressions of the configuration: variable names, numbers, comparisons, ``& | ~``, arithmetic.

``hadronFlavour == 5 & nBHadrons <= 1`` means what a physicist means: as in ROOT and unlike in
Python, ``&``, ``|`` and ``~`` bind more loosely than comparisons. Between integers they are bitwise,
between conditions logical. ``&&``, ``||``, ``!`` and ``and``, ``or``, ``not`` are always logical, as in C.

Python reads the text but evaluates nothing: its syntax tree becomes a list of steps, and what is not in
`jetmill.variables.operations` is refused.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from jetmill.errors import JetmillError, nearest
from jetmill.variables.integers import calculate
from jetmill.variables.operations import (
    BINARY,
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    LISTED,
    UNARY,
    Value,
    compared,
    is_condition,
    is_float,
    of_column,
    of_number,
    to_column,
    true,
)

# A sum of more terms is nested too deeply; a chain of & or | is flat. Python's own limit is higher.
MAX_DEPTH = 1000


class Expression:
    """A parsed expression; call it with columns to get a column.

    `text` is for example ``pt >= 20``, ``abs(eta)``, ``hadronFlavour in (4, 5)``, ``(puId & 4) != 0``.

    Attributes
    ----------
    names : frozenset of str
        The columns that it needs: variables, and `count_of` collections.
    collections : frozenset of str
        The collections whose constituents it counts.

    Raises
    ------
    JetmillError
        If `text` is not an allowed expression, is nested too deeply, or has a constant beyond all bounds.
    """

    def __init__(self, text: str):
        self.text = text
        self._steps = _read(text)
        self.names = frozenset(step for step in self._steps if isinstance(step, str))
        self.collections = frozenset(name[len("count(") : -1] for name in self.names if name.startswith("count("))

    def __call__(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Evaluate for columns of shape (n,), as `mark_missing` returns them.

        Arithmetic with missing values is NaN; comparisons with them are false, except for ``!=``.

        Returns
        -------
        ndarray of bool, int64 or float64, shape (n,) or ()
            Integers as float64 if 64 bits do not hold them, or if some are missing.

        Raises
        ------
        JetmillError
            If it cannot be computed: ``&`` of an integer and a condition, an integer beyond all bounds.
        """
        with _named(self.text, " cannot be computed"):
            return to_column(_evaluated(self._steps, columns))


def count_of(collection: str) -> str:
    """Return the name of the column with the number of constituents of each jet, as it is written in expressions."""
    return f"count({collection})"


@dataclass(frozen=True)
class _Constant:
    value: Value


@dataclass(frozen=True)
class _Step:
    """Takes the last values and puts one in their place."""

    arity: int
    apply: Callable[..., Value]


# In the order of evaluation; a name is that of a column.
_Steps = list[_Constant | _Step | str]
_Parts = list[ast.expr | _Constant | _Step | str]


def _evaluated(steps: _Steps, columns: Mapping[str, np.ndarray]) -> Value:
    stack: list[Value] = []
    with np.errstate(all="ignore"):
        for step in steps:
            match step:
                case str():
                    stack.append(of_column(columns, step))
                case _Constant(value):
                    stack.append(value)
                case _Step(arity, apply):
                    first = len(stack) - arity
                    stack[first:] = [apply(*stack[first:])]
    return stack.pop()


@contextmanager
def _named(text: str, problem: str = "") -> Iterator[None]:
    try:
        yield
    except JetmillError as error:
        shown = text if len(text) <= 300 else f"{text[:140]} ... {text[-140:]}"
        raise JetmillError(f"expression '{shown}'{problem}: {error}") from None


@lru_cache(maxsize=1000)
def _read(text: str) -> _Steps:
    """Return the steps of an expression, each after those that it takes the values of."""
    with _named(text, " cannot be read"):
        reader = _Reader(text)
    steps: _Steps = []
    work: list[tuple[ast.expr | _Constant | _Step | str, int]] = [(reader.tree, 1)]
    while work:
        item, depth = work.pop()
        if isinstance(item, ast.expr):
            with _named(text):
                parts = reader.parts(item)
            if depth > MAX_DEPTH:
                with _named(text, " cannot be read"):
                    raise _too_deep()
            work += [(part, depth + 1) for part in reversed(parts)]
        elif isinstance(item, _Step) and all(isinstance(s, _Constant) for s in steps[-item.arity :]):
            # Constants are computed now, so that 9**9**9 is refused before anything is read.
            with _named(text, " cannot be computed"):
                steps[-item.arity :] = [_Constant(_evaluated([*steps[-item.arity :], item], {}))]
        else:
            steps.append(item)
    return steps


# Replacements of signs: Python's words have the right precedence. Form feeds, white space to Python, mark which
# sign it was: one for those that can be bitwise.
_WORDS = {"&&": " and\f\f", "||": " or\f\f", "!": " not\f\f", "&": " and\f", "|": " or\f", "~": " not\f"}


class _Reader:
    """The syntax tree of an expression, and the text behind it."""

    def __init__(self, text: str):
        python = re.sub(r"&&?|\|\|?|~|!(?!=)", lambda m: _WORDS[m[0]], " ".join(text.split())).strip()
        self._bytes = python.encode()
        try:
            self.tree: ast.expr = ast.parse(python, mode="eval").body
        except (RecursionError, MemoryError):
            raise _too_deep() from None
        except (SyntaxError, ValueError) as error:
            hint = re.search(r"[-+*/%=<>]\s*([~!])", text)
            advice = f"; put {hint[1]} and what it applies to in parentheses" if hint else ""
            message = error.msg if isinstance(error, SyntaxError) else error
            raise JetmillError(f"{message}{advice}") from None

    def parts(self, node: ast.expr) -> _Parts:
        """Return what the value of a node is computed from, in the order of evaluation; last comes a step or a name."""
        match node:
            case ast.Name(id=name):
                return [_Constant(of_number(CONSTANTS[name])) if name in CONSTANTS else name]
            case ast.Constant(value=bool() | int() | float() as number):
                return [_Constant(of_number(number))]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return [left, right, _Step(2, BINARY[type(op)])]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return [operand, _Step(1, partial(self._inverted, node))]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
                return [operand, _Step(1, UNARY[type(op)])]
            case ast.BoolOp(op=op, values=values):
                parts: _Parts = [values[0]]
                for left, right, after in zip(values, values[1:], [*values[2:], None], strict=False):
                    parts += [right, _Step(2, partial(self._joined, type(op), left, right, after))]
                return parts
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id="count"), args=args, keywords=[]):
                match args:
                    case [ast.Name(id=collection)]:
                        return [count_of(collection)]
                raise JetmillError("count() takes the name of one collection of constituents, as count(tracks)")
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return [*args, self._function(name, len(args))]
        raise self._refused(node)

    def _comparison(self, node: ast.Compare) -> _Parts:
        parts: _Parts = [node.left]
        operators = [type(op) for op in node.ops]
        for operator, operand in zip(operators, node.comparators, strict=True):
            is_list = isinstance(operand, ast.Tuple | ast.List)
            if operator not in (*COMPARISONS, *LISTED) or is_list != (operator in LISTED):
                raise self._refused(node)
            if isinstance(operand, ast.Tuple | ast.List):
                n = len(operand.elts)
                parts += [*operand.elts, _Step(n, lambda *values: list(values)) if n else _Constant([])]
            else:
                parts.append(operand)
        return [*parts, _Step(len(operators) + 1, partial(compared, operators))]

    def _function(self, name: str, n_arguments: int) -> _Step:
        if name not in FUNCTIONS:
            known = sorted([*FUNCTIONS, "count"])
            raise JetmillError(f"unknown function '{name}'.{nearest(name, known)} Known: {', '.join(known)}")
        arity, function = FUNCTIONS[name]
        if n_arguments != arity:
            raise JetmillError(f"{name}() takes {arity} argument(s), found {n_arguments}")
        return _Step(arity, function)

    def _joined(
        self, op: type[ast.boolop], left: ast.expr, right: ast.expr, after: ast.expr | None, a: Value, b: Value
    ) -> Value:
        """Join two operands of a chain, after which another may come."""
        logical, sign = (np.logical_and, "&") if op is ast.And else (np.logical_or, "|")
        between = self._bytes[_end(left) : _start(right)]
        if between.count(b"\f") != 1:
            return logical(true(a), true(b))
        if is_condition(a) and is_condition(b):
            return logical(a, b)
        for node, value in ((left, a), (right, b)):
            if is_float(value):
                raise self._of_float(sign, node)
        if is_condition(a) or is_condition(b):
            raise self._mixed(sign, *((right, left, after) if is_condition(a) else (left, right, right)))
        return calculate(sign, a, b)

    def _inverted(self, node: ast.UnaryOp, value: Value) -> Value:
        # Two form feeds are a !, none is a "not".
        is_sign = self._bytes.startswith(b"not\f", _start(node)) and self._bytes[_start(node) + 4] != ord("\f")
        if is_condition(value) or not is_sign:
            return ~true(value)
        if is_float(value):
            raise self._of_float("~", node.operand)
        return calculate("~", value)

    def _of_float(self, sign: str, node: ast.expr) -> JetmillError:
        text = self._text(node)
        return JetmillError(
            f"'{text}' is a float, and {sign} is for conditions and for bits of integers;"
            f" to use it as a condition, write {_wrapped(text)} != 0"
        )

    def _mixed(self, sign: str, integer: ast.expr, condition: ast.expr, after: ast.expr | None) -> JetmillError:
        """Return what is wrong with joining an integer and a condition; `after` is next to the integer in the chain."""
        number = _wrapped(self._text(integer))
        advice = f"write {number} != 0 to use it as a condition"
        match after:
            case ast.Compare(left=ast.Constant(value=int() as mask), ops=[op], comparators=[second]) if (
                type(op) in COMPARISONS
            ):
                comparison = f"({number} {sign} {mask}) {_SIGNS[type(op)]} {self._text(second)}"
                advice = f"write {comparison} to compare bits, or {number} != 0 to use it as a condition"
        return JetmillError(
            f"on the two sides of {sign}, '{self._text(integer)}' is an integer and"
            f" '{self._text(condition)}' a condition; {advice}"
        )

    def _refused(self, node: ast.expr) -> JetmillError:
        return JetmillError(f"'{self._text(node)}' is not allowed here")

    def _text(self, node: ast.expr) -> str:
        """Return a part of the expression as it was written."""
        text = self._bytes[_start(node) : _end(node)].decode()
        for sign, word in _WORDS.items():
            # A part can start with a sign, without the space before it.
            if text.startswith(word.lstrip(" ")):
                text = f" {text}"
            text = text.replace(word, sign)
        return text


def _start(node: ast.expr) -> int:
    return node.col_offset


def _end(node: ast.expr) -> int:
    return node.end_col_offset or 0


def _wrapped(text: str) -> str:
    return text if re.fullmatch(r"\w+(\([^()]*\))?", text) else f"({text})"


def _too_deep() -> JetmillError:
    return JetmillError(
        f"is nested too deeply: at most {MAX_DEPTH} operations can be inside one another, as in a sum of so many terms;"
        " define parts of it as variables"
    )


_SIGNS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
