"""salt: the configuration of a training on the records of a run.

https://gitlab.cern.ch/atlas-flavor-tagging-tools/algorithms/salt
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jetmill.formats.cards.card import Card, Results

# The sizes of GN2.
EMBEDDING, POOLED = 256, 128
TEXT = """\
# Train on these results with `salt fit --config {path}`, from the directory of the run.
# Jets: {classes}. {balance}
"""


def text(results: Results) -> str:
    """Return the configuration: a transformer of all constituents, as GN2, or a dense network of variables of jets.

    With a weight for each jet, classes are weighted by it alone. Labels of constituents whose values have names are
    further tasks, weighted by ``class_dict.yaml``; labels of vertices are a task of pairs.
    """
    import yaml

    config, directory = results.config, results.directory
    collections: dict[str, Any] = config["constituents"]
    val = "val_resampled" if "val_resampled" in results.outputs else "val"
    data = {
        "variables": {"jets": config["jets"]["variables"]} | {name: c["variables"] for name, c in collections.items()},
        **{f"{split}_file": f"{directory}/structured/{o}.h5" for split, o in (("train", "train"), ("val", val))},
        "norm_dict": f"{directory}/norm_dict.yaml",
        "class_dict": f"{directory}/class_dict.yaml",
        "batch_size": 1000,
        "num_workers": 2,
    }
    tasks = [_classification(results), *(task for name, c in collections.items() for task in _auxiliary(name, c))]
    model = _transformer(collections) if collections else _dense()
    model["tasks"] = {"class_path": "torch.nn.ModuleList", "init_args": {"modules": tasks}}
    whole = {
        "name": "GN2" if collections else "DL1",
        "model": {"model": {"class_path": "salt.models.SaltModel", "init_args": model}},
        "data": data,
        "trainer": {"max_epochs": 40, "accelerator": "auto", "devices": 1},
    }
    balance = "Their field `weight` balances them." if results.weighted else "class_dict.yaml balances them."
    head = TEXT.format(
        path=f"{directory}/salt/{whole['name']}.yaml", classes=", ".join(config["classes"]), balance=balance
    )
    return head + yaml.safe_dump(whole, sort_keys=False)


def _transformer(collections: Mapping[str, Any]) -> dict[str, Any]:
    embedding = {"output_size": EMBEDDING, "hidden_layers": [256], "activation": "ReLU"}
    return {
        "init_nets": [{"input_name": name, "dense_config": dict(embedding)} for name in collections],
        "encoder": {
            "class_path": "salt.models.Transformer",
            "init_args": {
                "num_layers": 4,
                "embed_dim": EMBEDDING,
                "out_dim": POOLED,
                "attn_type": "torch-math",
                "norm": "LayerNorm",
                "do_final_norm": True,
                "dense_kwargs": {"activation": "ReLU", "gated": False},
                "attn_kwargs": {"num_heads": 8},
            },
        },
        "pool_net": {"class_path": "salt.models.GlobalAttentionPooling", "init_args": {"input_size": POOLED}},
    }


def _dense() -> dict[str, Any]:
    dense = {"hidden_layers": [256, 128, 128], "output_size": POOLED, "activation": "ReLU"}
    return {"init_nets": [{"input_name": "jets", "attach_global": False, "dense_config": dense}]}


def _classification(results: Results) -> dict[str, Any]:
    classes = list(results.config["classes"])
    reduction = {"init_args": {"reduction": "none"}} if results.weighted else {}
    return _task(
        "ClassificationTask",
        name="jets_classification",
        input_name="jets",
        label="flavour_label",
        class_names=classes,
        **({"sample_weight": "weight"} if results.weighted else {"use_class_dict": True}),
        loss={"class_path": "torch.nn.CrossEntropyLoss", **reduction},
        dense_config=_head(POOLED, len(classes)),
    )


def _auxiliary(collection: str, constituents: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the tasks of a collection."""
    named: dict[str, list[str]] = constituents["label_classes"]
    labels = [label if isinstance(label, str) else label["name"] for label in constituents["labels"]]
    for label in labels:
        known = {"name": f"{collection}_{label}", "input_name": collection, "label": label}
        if label in named:
            yield _task(
                "ClassificationTask",
                **known,
                class_names=named[label],
                use_class_dict=True,
                weight=0.5,
                loss={"class_path": "torch.nn.CrossEntropyLoss"},
                dense_config=_head(POOLED, len(named[label])) | {"context_size": POOLED},
            )
        elif label.endswith("VertexIndex"):
            yield _task(
                "VertexingTask",
                **known,
                weight=1.5,
                loss={"class_path": "torch.nn.BCEWithLogitsLoss", "init_args": {"reduction": "none"}},
                dense_config=_head(2 * POOLED, 1) | {"context_size": POOLED},
            )


def _task(kind: str, **settings: Any) -> dict[str, Any]:
    return {"class_path": f"salt.models.{kind}", "init_args": settings}


def _head(inputs: int, outputs: int) -> dict[str, Any]:
    return {"input_size": inputs, "output_size": outputs, "hidden_layers": [128, 64, 32], "activation": "ReLU"}


def _has_constituents(config: Mapping[str, Any]) -> bool:
    return bool(config["constituents"])


GN2 = Card("salt/GN2.yaml", text, wanted=lambda config: not config["apply"] and _has_constituents(config))
DL1 = Card("salt/DL1.yaml", text, wanted=lambda config: not config["apply"] and not _has_constituents(config))
