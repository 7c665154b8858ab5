"""Neural networks in ONNX format, run over jets in batches."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jetmill.errors import JetmillError
from jetmill.packages import NETWORKS
from jetmill.ragged import position_in_jet, valid_slots

# Types that a mask can have.
_MASKS = {"tensor(bool)": np.bool_, "tensor(float)": np.float32}


class _Model:
    """An ONNX file whose first output has one row per jet."""

    def __init__(self, path: str | Path):
        onnxruntime = NETWORKS.load()
        options = onnxruntime.SessionOptions()
        # A job has one core; others use the rest.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class for each reason, none of them public
            raise JetmillError(f"{path}: not a readable ONNX file ({str(error).splitlines()[0]})") from None
        self._path, self.inputs = path, self._session.get_inputs()

    def run(self, given: Mapping[str, np.ndarray], n_jets: int, *, max_ndim: int | None = None) -> np.ndarray:
        """Return the first output for some jets, (n_jets, n_columns); raises JetmillError if there is none such."""
        try:
            output: np.ndarray = np.asarray(self._session.run(None, dict(given))[0])
        except Exception as error:  # as above
            raise JetmillError(f"{self._path}: cannot be run ({str(error).splitlines()[0]})") from None
        too_deep = max_ndim is not None and output.ndim > max_ndim
        if output.dtype.kind != "f" or output.shape[:1] != (n_jets,) or too_deep:
            raise JetmillError(
                f"{self._path}: its first output is {output.dtype} of shape {output.shape}; a float for each of"
                f" {n_jets} jets is expected"
            )
        return output.reshape(n_jets, -1)

    def column(self, output: np.ndarray, column: int) -> np.ndarray:
        """Return one column of an output, float64 (n_jets,), or raise."""
        if column >= output.shape[1]:
            raise JetmillError(f"{self._path}: has {output.shape[1]} outputs, so there is no column {column}")
        return output[:, column].astype(np.float64)


class Network:
    """A network with one input, float32 (n_jets, n_variables), and an output (n_jets,) or (n_jets, n_columns).

    It gets at most `batch_jets` jets at a time.

    Raises
    ------
    JetmillError
        If the file cannot be read, or its input does not take this number of variables.
    """

    def __init__(self, path: str | Path, n_variables: int, *, batch_jets: int = 65_536):
        self._model, self._batch_jets = _Model(path), batch_jets
        inputs = self._model.inputs
        if len(inputs) != 1:
            names = ", ".join(i.name for i in inputs)
            raise JetmillError(f"{path}: has {len(inputs)} inputs ({names}); one is expected")
        self._input, shape = inputs[0].name, inputs[0].shape
        if len(shape) != 2 or (isinstance(shape[1], int) and shape[1] != n_variables):
            raise JetmillError(
                f"{path}: its input '{self._input}' has shape {shape}, but there are {n_variables} variables:"
                f" (jets, {n_variables}) is expected"
            )

    def __call__(self, inputs: np.ndarray, column: int) -> np.ndarray:
        """Return one column of the first output, float64 (n_jets,), for inputs (n_jets, n_variables)."""
        found = [np.empty(0)]
        for start in range(0, len(inputs), self._batch_jets):
            block = np.ascontiguousarray(inputs[start : start + self._batch_jets], dtype=np.float32)
            output = self._model.run({self._input: block}, len(block))
            found.append(self._model.column(output, column))
        return np.concatenate(found)


class ConstituentNetwork:
    """A network of constituents: float32 (n_jets, slots, n_variables), and (n_jets, slots) if it takes a mask.

    The mask, bool or float32 as the network has it, is true where a slot holds a constituent. Empty slots and missing
    values are 0. The output is (n_jets,) or (n_jets, n_columns). `collection` is the name of the constituents, for
    messages; a jet has at most `slots` of them. It gets about `batch_values` inputs at a time.

    Raises
    ------
    JetmillError
        If the file cannot be read, or has other inputs.
    """

    def __init__(
        self,
        path: str | Path,
        collection: str,
        variables: Sequence[str],
        slots: int,
        *,
        batch_values: int = 1_000_000,
    ):
        self._model, self._slots, self._n_variables = _Model(path), slots, len(variables)
        self._batch_jets = max(1, batch_values // (slots * len(variables)))
        inputs = self._model.inputs
        names = [i.name for i in inputs]
        if len(inputs) not in (1, 2):
            raise JetmillError(
                f"{path}: has {len(inputs)} inputs ({', '.join(names)}); one is expected, and a mask if it takes one"
            )
        what = f"{slots} slots of {collection} with {len(variables)} variables ({', '.join(variables)})"
        wanted = {names[0]: [slots, len(variables)]} | {name: [slots] for name in names[1:]}
        types = dict(zip(names, [["tensor(float)"], list(_MASKS)], strict=False))
        for given in inputs:
            expected = f"(jets, {', '.join(map(str, wanted[given.name]))})"
            if not _fits(given.shape, wanted[given.name]):
                shape = f"({', '.join(map(str, given.shape))})".replace("None", "any")
                raise JetmillError(
                    f"{path}: its input '{given.name}' has shape {shape}, but there are {what}:"
                    f" {expected} is expected, for any number of jets"
                )
            if given.type not in types[given.name]:
                raise JetmillError(
                    f"{path}: its input '{given.name}' is {given.type}; {' or '.join(types[given.name])} is expected"
                )
        self._input = names[0]
        self._mask = (names[1], _MASKS[inputs[1].type]) if len(inputs) == 2 else None

    def __call__(self, values: np.ndarray, counts: np.ndarray, column: int) -> np.ndarray:
        """Return one column of the first output, float64 (n_jets,).

        Parameters
        ----------
        values : ndarray of float32, shape (n_constituents, n_variables)
            Constituents of all jets, jet after jet, in the order of the slots. NaN is missing.
        counts : ndarray of int, shape (n_jets,)
            Constituents of each jet; those beyond the slots are left out.
        """
        found, first = [np.empty(0)], 0
        for start in range(0, len(counts), self._batch_jets):
            of_jets = counts[start : start + self._batch_jets]
            rows = values[first : first + of_jets.sum()]
            first += len(rows)
            used = valid_slots(of_jets, self._slots)
            block = np.zeros((*used.shape, self._n_variables), dtype=np.float32)
            block[used] = np.where(np.isfinite(rows), rows, 0)[position_in_jet(of_jets) < self._slots]
            given = {self._input: block}
            if self._mask is not None:
                given[self._mask[0]] = used.astype(self._mask[1])
            # An output with three dimensions has values per constituent.
            output = self._model.run(given, len(block), max_ndim=2)
            found.append(self._model.column(output, column))
        return np.concatenate(found)


def odds(probability: np.ndarray) -> np.ndarray:
    """Return p / (1 - p), NaN for p = 1: the ratio of two densities, from a network that separates them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = probability / (1 - probability)
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _fits(shape: Sequence[int | str | None], wanted: Sequence[int]) -> bool:
    """Say whether an input takes any number of jets with `wanted` numbers each; None and names stand for any number."""
    if len(shape) != 1 + len(wanted) or isinstance(shape[0], int):
        return False
    return all(not isinstance(n, int) or n == m for n, m in zip(shape[1:], wanted, strict=True))
