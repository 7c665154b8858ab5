"""Expressions of the configuration: variable names, numbers, comparisons, ``& | ~``, arithmetic.

``hadronFlavour == 5 & nBHadrons <= 1`` means what a physicist means: as in ROOT and unlike in
Python, ``&``, ``|`` and ``~`` bind more loosely than comparisons (``&&``, ``||``, ``!`` are the same).
Nothing is evaluated by Python: the syntax tree is walked, and what is not on the lists is refused.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from jetmill.errors import JetmillError, nearest

FUNCTIONS: dict[str, Callable] = {
    name: getattr(np, name)
    for name in (
        *("sqrt", "exp", "log", "log10", "log1p", "floor", "hypot", "where"),
        *("sin", "cos", "tan", "arctan2", "sinh", "cosh", "tanh", "arcsinh"),
    )
} | {"abs": np.abs, "min": np.minimum, "max": np.maximum}
CONSTANTS = {"pi": np.pi}

_OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Not: np.logical_not,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: np.isin,
    ast.NotIn: lambda values, choices: ~np.isin(values, choices),
}
_LOGIC = {"&": " and ", "|": " or ", "~": " not ", "!": " not "}


class Expression:
    """A parsed expression; call it with columns to get a column.

    Parameters
    ----------
    text
        For example ``pt >= 20``, ``abs(eta)``, ``hadronFlavour in (4, 5)``.

    Raises
    ------
    JetmillError
        If `text` is not an expression of the allowed kind.
    """

    def __init__(self, text: str):
        self.text = text
        python = re.sub(r"&&?|\|\|?|~|!(?!=)", lambda m: _LOGIC[m[0][0]], text)
        try:
            self._tree = ast.parse(python.strip(), mode="eval").body
        except SyntaxError as error:
            raise JetmillError(f"expression '{text}' cannot be read: {error.msg}") from None
        found: set[str] = set()
        self._check(self._tree, found)
        self.names = frozenset(found)

    def __call__(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Evaluate for columns of shape (n,); comparisons with NaN are false, arithmetic gives NaN.

        Raises
        ------
        JetmillError
            If it cannot be computed: minus of a condition, an integer divided by 0.
        """
        with np.errstate(all="ignore"):
            try:
                return self._value(self._tree, columns)
            except (TypeError, ValueError, ArithmeticError) as error:
                raise JetmillError(f"expression '{self.text}' cannot be computed: {error}") from error

    def _check(self, node: ast.AST, found: set[str]) -> None:
        match node:
            case ast.Name(id=name):
                if name not in CONSTANTS:
                    found.add(name)
            case ast.Constant(value=bool() | int() | float()):
                pass
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                self._check(left, found)
                self._check(right, found)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
                self._check(operand, found)
            case ast.BoolOp(values=values):
                for value in values:
                    self._check(value, found)
            case ast.Compare(left=left, ops=ops, comparators=right):
                self._check(left, found)
                for comparison, operand in zip(ops, right, strict=True):
                    is_list = isinstance(operand, ast.Tuple | ast.List)
                    if type(comparison) not in _OPERATORS or is_list != isinstance(comparison, ast.In | ast.NotIn):
                        self._refuse(node)
                    for value in operand.elts if isinstance(operand, ast.Tuple | ast.List) else [operand]:
                        self._check(value, found)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                if name not in FUNCTIONS:
                    raise JetmillError(
                        f"expression '{self.text}': unknown function '{name}'.{nearest(name, FUNCTIONS)}"
                        f" Known: {', '.join(sorted(FUNCTIONS))}"
                    )
                expected = 3 if name == "where" else getattr(FUNCTIONS[name], "nin", 1)
                if len(args) != expected:
                    raise JetmillError(
                        f"expression '{self.text}': {name}() takes {expected} argument(s), found {len(args)}"
                    )
                for arg in args:
                    self._check(arg, found)
            case _:
                self._refuse(node)

    def _refuse(self, node: ast.AST) -> None:
        raise JetmillError(f"expression '{self.text}': '{ast.unparse(node)}' is not allowed here")

    def _value(self, node: Any, columns: Mapping[str, np.ndarray]) -> Any:
        match node:
            case ast.Name(id=name):
                return CONSTANTS[name] if name in CONSTANTS else _widen(columns[name])
            case ast.Constant(value=value):
                return value
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return [self._value(element, columns) for element in elements]
            case ast.BinOp(left=left, op=op, right=right):
                return _OPERATORS[type(op)](self._value(left, columns), self._value(right, columns))
            case ast.UnaryOp(op=op, operand=operand):
                return _OPERATORS[type(op)](self._value(operand, columns))
            case ast.BoolOp(op=op, values=values):
                return reduce(_OPERATORS[type(op)], (self._value(v, columns) for v in values))
            case ast.Compare(left=left, ops=ops, comparators=right):
                operands = [self._value(v, columns) for v in (left, *right)]
                pairs = zip(ops, operands[:-1], operands[1:], strict=True)
                return reduce(np.logical_and, (_OPERATORS[type(op)](a, b) for op, a, b in pairs))
            case ast.Call(func=ast.Name(id=name), args=args):
                return FUNCTIONS[name](*(self._value(arg, columns) for arg in args))
        raise AssertionError(f"unchecked node {node!r}")


def _widen(column: np.ndarray) -> np.ndarray:
    """Compute in 64 bits: 0.3 stays 0.3 beside a float32, and a uint8 does not wrap around."""
    if column.dtype.kind in "iu":
        return column if column.dtype == np.uint64 else column.astype(np.int64, copy=False)
    return column.astype(np.float64, copy=False) if column.dtype.kind == "f" else column
