"""salt: the configuration of a training on the records of a run.

https://gitlab.cern.ch/atlas-flavor-tagging-tools/algorithms/salt
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jetmill.formats.cards.card import Card, Results
from jetmill.formats.files.names import JETS, names_in
from jetmill.settings.scaling import TARGETS

if TYPE_CHECKING:
    from jetmill.scaling.scalers import Scaler

# The sizes of GN2.
EMBEDDING, POOLED = 256, 128
# The loss of each jet, which salt averages over those that are not missing.
EACH_LOSS = {"class_path": "torch.nn.L1Loss", "init_args": {"reduction": "none"}}
TEXT = """\
# Train on these results with `salt fit --config {path}`, from the directory of the run.
# {jets_name}: {classes}. {balance}
"""


def text(results: Results) -> str:
    """Return the configuration: a transformer of all constituents, as GN2, or a dense network of variables of jets.

    With a weight for each jet, classes are weighted by it alone. Labels of constituents whose values have names are
    further tasks, weighted by ``class_dict.yaml``; labels of vertices are a task of pairs. Targets of jets are a
    regression; truth objects make it a MaskFormer, with a single collection of inputs that has such labels.
    """
    import yaml

    config, directory = results.config, results.directory
    collections, jets_name = results.inputs, names_in(config).jets
    auxiliary = [task for name, c in collections.items() for task in _auxiliary(name, c)]
    # salt's mask decoder takes one collection of inputs, which must have a task of its own.
    objects = results.objects if len(collections) == 1 and auxiliary else {}
    val = "val_resampled" if "val_resampled" in results.outputs else "val"
    data = {
        "variables": {jets_name: config["jets"]["variables"]}
        | {name: c["variables"] for name, c in collections.items()},
        **{f"{split}_file": f"{directory}/structured/{o}.h5" for split, o in (("train", "train"), ("val", val))},
        "norm_dict": f"{directory}/norm_dict.yaml",
        "class_dict": f"{directory}/class_dict.yaml",
        **({} if jets_name == JETS else {"global_object": jets_name}),
        "batch_size": 1000,
        "num_workers": 2,
    }
    for name, of in objects.items():
        data["mf_config"] = _matching(name, of)
    regression = [_regression(results)] if config["jets"]["targets"] else []
    tasks = [_classification(results), *auxiliary, *regression]
    model = _transformer(collections) if collections else _dense(jets_name)
    for name, of in objects.items():
        model["mask_decoder"] = _mask_decoder(of)
        model["encoder"]["init_args"]["drop_registers"] = True
        tasks.append(_regression_of_objects(results.scalers[name]))
    model["tasks"] = {"class_path": "torch.nn.ModuleList", "init_args": {"modules": tasks}}
    whole = {
        "name": "GN2" if collections else "DL1",
        "model": {"model": {"class_path": "salt.models.SaltModel", "init_args": model}},
        "data": data,
        "trainer": {"max_epochs": 40, "accelerator": "auto", "devices": 1},
    }
    balance = "Their field `weight` balances them." if results.weighted else "class_dict.yaml balances them."
    head = TEXT.format(
        path=f"{directory}/salt/{whole['name']}.yaml",
        jets_name=jets_name.capitalize(),
        classes=", ".join(config["classes"]),
        balance=balance,
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


def _dense(jets_name: str) -> dict[str, Any]:
    dense = {"hidden_layers": [256, 128, 128], "output_size": POOLED, "activation": "ReLU"}
    return {"init_nets": [{"input_name": jets_name, "attach_global": False, "dense_config": dense}]}


def _classification(results: Results) -> dict[str, Any]:
    classes, jets_name = list(results.config["classes"]), names_in(results.config).jets
    reduction = {"init_args": {"reduction": "none"}} if results.weighted else {}
    return _task(
        "ClassificationTask",
        name=f"{jets_name}_classification",
        input_name=jets_name,
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


def _regression(results: Results) -> dict[str, Any]:
    """Return the task of the targets of jets; a missing one, NaN, does not count."""
    scalers = results.scalers[TARGETS]
    return _task(
        "RegressionTask",
        name=f"{names_in(results.config).jets}_regression",
        input_name=names_in(results.config).jets,
        targets=list(scalers),
        norm_params={"mean": [s.shift for s in scalers.values()], "std": [s.scale for s in scalers.values()]},
        **({"sample_weight": "weight"} if results.weighted else {}),
        loss=EACH_LOSS,
        dense_config=_head(POOLED, len(scalers)),
    )


def _matching(name: str, collection: Mapping[str, Any]) -> dict[str, Any]:
    """Return how constituents belong to objects, and the classes of these; an empty slot has class -1."""
    objects, ((label, classes),) = collection["objects"], collection["label_classes"].items()
    known: dict[str | None, Any] = {c: {"raw": number, "mapped": number} for number, c in enumerate(classes)}
    known[None] = {"raw": -1, "mapped": len(classes)}
    return {
        "object": {"name": name, "id_label": objects["id"], "class_label": label, "object_classes": known},
        "constituent": {"name": objects["of"], "id_label": objects["parent"]},
    }


def _mask_decoder(collection: Mapping[str, Any]) -> dict[str, Any]:
    (classes,) = collection["label_classes"].values()
    dense = {"class_path": "salt.models.Dense"}
    # A single class and none are one output.
    n_outputs = len(classes) + 1 if len(classes) > 1 else 1
    return {
        "class_path": "salt.models.maskformer.MaskDecoder",
        "init_args": {
            "num_objects": collection["max"],
            "embed_dim": POOLED,
            "num_layers": 3,
            "md_config": {"mask_attention": True, "bidirectional_ca": True, "n_heads": 8},
            "class_net": dense | {"init_args": {"input_size": POOLED, "output_size": n_outputs}},
            "mask_net": dense | {"init_args": {"input_size": POOLED, "output_size": POOLED}},
            "loss_config": {
                "num_classes": len(classes),
                "loss_weights": {"object_class_ce": 2.0, "mask_ce": 10.0, "mask_dice": 2.0, "regression": 2.0},
            },
        },
    }


def _regression_of_objects(scalers: "Mapping[str, Scaler]") -> dict[str, Any]:
    """Return the task of the variables of objects, under the name by which salt's matching knows it.

    salt undoes ``norm_params`` along the wrong axis for objects, but its functions along the right one.
    """
    scales = {
        name: {"op": "log" if s.log else "linear", "op_scale": 1 / s.scale, "op_off": -s.shift / s.scale}
        for name, s in scalers.items()
    }
    return _task(
        "RegressionTask",
        name="regression",
        input_name="objects",
        targets=list(scalers),
        weight=0.5,
        scaler={"class_path": "salt.utils.scalers.RegressionTargetScaler", "init_args": {"scales": scales}},
        loss=EACH_LOSS,
        dense_config=_head(POOLED, len(scalers)),
    )


def _task(kind: str, **settings: Any) -> dict[str, Any]:
    return {"class_path": f"salt.models.{kind}", "init_args": settings}


def _head(inputs: int, outputs: int) -> dict[str, Any]:
    return {"input_size": inputs, "output_size": outputs, "hidden_layers": [128, 64, 32], "activation": "ReLU"}


def _has_constituents(config: Mapping[str, Any]) -> bool:
    return any(c["objects"] is None for c in config["constituents"].values())


GN2 = Card("salt/GN2.yaml", text, wanted=lambda config: not config["apply"] and _has_constituents(config))
DL1 = Card("salt/DL1.yaml", text, wanted=lambda config: not config["apply"] and not _has_constituents(config))
