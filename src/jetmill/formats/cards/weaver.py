"""weaver: the data configuration of a training on the Parquet files of a run.

https://github.com/hqucms/weaver-core
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetmill.formats.cards.card import Card, Results
from jetmill.formats.files.names import names_in

if TYPE_CHECKING:
    from jetmill.scaling.scalers import Scaler

# weaver clips scaled inputs at 5 unless the configuration sets limits.
NO_LIMIT = 1e30
TEXT = """\
# The data configuration of weaver for {directory}/parquet, with the scalers of the run.
# {weights}
"""
WEIGHTS = {
    True: "weaver takes weights as probabilities to keep a row: weight is divided by the largest one.",
    False: "No weights: all rows count alike, or event weights make weights that are no probabilities.",
}


def text(results: Results) -> str:
    """Return the data configuration: inputs with their scalers, classes, observers and weights.

    Inputs are a group of the jets, one of each collection of constituents, and its mask. weaver keeps a jet of weight w
    with probability min(w, 1), so weights are divided by the largest number of their table. Event weights, which may be
    negative, cannot be used like that.
    """
    import yaml

    config = results.config
    jets_name = names_in(config).jets
    names = {v: v for v in config["jets"]["variables"]}
    logs, variables = _variables(names, results.scalers[jets_name])
    inputs = {jets_name: {"length": 1, "vars": variables}}
    new = logs
    for collection, constituents in results.inputs.items():
        names = {v: f"{collection}_{v}" for v in constituents["variables"]}
        logs, variables = _variables(names, results.scalers[collection])
        mask = f"{collection}_mask"
        new |= logs | {mask: f"ak.ones_like({next(iter(names.values()))})"}
        padded = {"length": constituents["max"], "pad_mode": "constant"}
        inputs |= {collection: padded | {"vars": variables}, mask: padded | {"vars": [[mask, None]]}}
    tables = [] if config["balance"]["event_weights"] else list(results.tables.weights.values())
    as_probability = bool(tables)
    whole = {
        "preprocess": {"method": "manual"},
        "new_variables": new | ({"kept": f"weight * {1 / float(np.max(tables[0]))!r}"} if as_probability else {}),
        "inputs": inputs,
        "labels": {"type": "simple", "value": [f"label_{name}" for name in config["classes"]]},
        "observers": [*config["input"]["event_id"], "sample", *config["jets"]["spectators"]],
        **({"weights": {"use_precomputed_weights": True, "weight_branches": ["kept"]}} if as_probability else {}),
    }
    head = TEXT.format(directory=results.directory, weights=WEIGHTS[as_probability])
    return head + yaml.safe_dump(whole, sort_keys=False)


def _variables(columns: Mapping[str, str], scalers: "Mapping[str, Scaler]") -> tuple[dict[str, str], list[list[Any]]]:
    """Return logarithms as new variables, and for each variable: name, center, factor, lower and upper limit.

    `columns` is variable to column of the files.
    """
    new, rows = {}, []
    for variable, column in columns.items():
        scaler, name = scalers[variable], column
        if scaler.log:
            name = f"log_{column}"
            new[name] = f"np.log({column})"
        limit = min(float(scaler.clip), NO_LIMIT)
        rows.append([name, scaler.shift, 1 / scaler.scale, -limit, limit])
    return new, rows


CARD = Card("weaver/data.yaml", text)
