"""Neural networks in ONNX format, run over jets in batches."""

from pathlib import Path

import numpy as np

from jetmill.errors import JetmillError

BATCH_JETS = 65_536


class Network:
    """A network with one input, float32 (n_jets, n_variables), and an output (n_jets,) or (n_jets, n_columns).

    Raises
    ------
    JetmillError
        If the file cannot be read, or its input does not take this number of variables.
    """

    def __init__(self, path: str | Path, n_variables: int):
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise JetmillError("jets.networks needs onnxruntime; `pip install onnxruntime`, or leave it out") from None
        options = onnxruntime.SessionOptions()
        # A job has one core; several jobs run beside it.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class for each reason, and names none of them
            raise JetmillError(f"{path}: not a readable ONNX file ({str(error).splitlines()[0]})") from None
        self._path, inputs = path, self._session.get_inputs()
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
        """Return one column of the first output, float64 (n_jets,), for inputs (n_jets, n_variables).

        Raises
        ------
        JetmillError
            If the network fails, or has no such output.
        """
        found = [np.empty(0)]
        for start in range(0, len(inputs), BATCH_JETS):
            block = np.ascontiguousarray(inputs[start : start + BATCH_JETS], dtype=np.float32)
            try:
                output: np.ndarray = np.asarray(self._session.run(None, {self._input: block})[0])
            except Exception as error:  # as above
                raise JetmillError(f"{self._path}: cannot be run ({str(error).splitlines()[0]})") from None
            if output.dtype.kind != "f" or output.shape[:1] != (len(block),):
                raise JetmillError(
                    f"{self._path}: its first output is {output.dtype} of shape {output.shape}; a float for each of"
                    f" {len(block)} jets is expected"
                )
            output = output.reshape(len(block), -1)
            if column >= output.shape[1]:
                raise JetmillError(f"{self._path}: has {output.shape[1]} outputs, so there is no column {column}")
            found.append(output[:, column].astype(np.float64))
        return np.concatenate(found)


def odds(probability: np.ndarray) -> np.ndarray:
    """Return p / (1 - p): the ratio of two densities, from a network that tells them apart; NaN for p = 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = probability / (1 - probability)
    return np.where(np.isfinite(ratio), ratio, np.nan)
