"""Section ``balance`` by itself and with other sections."""

from jetmill.balancing.binning import Axis, axes_of
from jetmill.balancing.given_weights import read_table
from jetmill.balancing.resampling import METHODS, SHAPES
from jetmill.balancing.table_size import MAX_NUMBERS, table_numbers
from jetmill.config.problems import Problems, among
from jetmill.errors import JetmillError, nearest
from jetmill.settings.config import Config


def balance(config: Config) -> Problems:
    """Yield what is wrong with bins, weights and resampling."""
    yield from _bins(config)
    yield from _resampling(config)
    for weight in config.balance.weights:
        if isinstance(weight, dict) and "table" in weight:
            try:
                read_table(weight["table"], list(config.classes), axes_of(config.balance.bins))
            except JetmillError as error:
                yield "balance.weights", str(error)
        elif isinstance(weight, dict):
            yield from among("balance.weights", [weight["reference"]], "classes", config.classes)


def _bins(config: Config) -> Problems:
    bins, n_samples = config.balance.bins, len(config.samples)
    for variable, segments in bins.items():
        edges = Axis.from_segments(variable, segments).edges
        if (edges[1:] <= edges[:-1]).any():
            yield f"balance.bins.{variable}", "some bins are so narrow that their edges are the same number"
    n_components = config.balance.resampling.pools
    numbers = table_numbers(bins, len(config.classes)) * (n_samples + n_components)
    if numbers > MAX_NUMBERS:
        shape = " x ".join(str(sum(n for _, _, n in segments)) for segments in bins.values())
        pools = f" and {n_components} component{'s' * (n_components > 1)}" if n_components else ""
        yield (
            "balance.bins",
            f"{shape} bins, {len(config.classes)} classes, {n_samples} samples{pools} make tables of {numbers:,}"
            f" numbers; {MAX_NUMBERS:,} fit into memory. Take fewer bins",
        )


def _resampling(config: Config) -> Problems:
    resampling, key = config.balance.resampling, "balance.resampling"
    method, of_method = METHODS[resampling.method], f"method: {resampling.method}"
    has_target = method.class_target or method.shape_target
    if has_target and resampling.target is None:
        yield key, f"{of_method} needs a target"
    if not has_target and resampling.target is not None:
        yield key, f"{of_method} has no target"
    for name in ("max_upsampling", "max_repeats"):
        if getattr(resampling, name) is not None and not method.repeats:
            repeat = [m for m in METHODS if METHODS[m].repeats]
            yield key, f"{name}: {of_method} repeats no jets; {' and '.join(repeat)} do"
    if resampling.method == "none" and resampling.shares:
        yield key, "shares: method: none takes classes as they are"
    yield from among(f"{key}.shares", resampling.shares, "classes", config.classes)
    places = {key: resampling} | {f"{key}.components.{n}": c for n, c in enumerate(resampling.components)}
    for place, sized in places.items():
        for name in ("num_jets", "num_jets_validation"):
            if isinstance(numbers := getattr(sized, name), dict):
                yield from among(f"{place}.{name}", numbers, "classes", config.classes)
                if resampling.shares:
                    yield f"{key}.shares", f"has no meaning beside {name} of each class"
    if resampling.target in SHAPES and resampling.target in config.classes:
        yield f"{key}.target", f"'{resampling.target}' is a class and a shape; give the class another name"
    if has_target and resampling.target is not None:
        allowed = [*config.classes, *(SHAPES if method.shape_target else [])]
        if resampling.target not in allowed:
            hint = nearest(resampling.target, allowed)
            yield f"{key}.target", f"must be one of {', '.join(allowed)} (found: '{resampling.target}').{hint}"
    for number, component in enumerate(resampling.components):
        place = f"{key}.components.{number}"
        yield from among(f"{place}.samples", component.samples, "samples", config.samples)
        for group in component.equal_samples:
            yield from among(f"{place}.equal_samples", group, "samples of the component", component.samples)
        yield from among(f"{place}.bins", component.bins, "balance.bins", config.balance.bins)
        for variable, ends in component.bins.items():
            if variable not in config.balance.bins:
                continue
            edges = Axis.from_segments(variable, config.balance.bins[variable]).edges
            for end in ends:
                closest = edges[abs(edges - end).argmin()]
                if abs(closest - end) > 1e-9 * abs(edges).max():
                    yield f"{place}.bins.{variable}", f"{end:g} is not an edge of a bin; the nearest is {closest:g}"
            if ends[0] >= ends[1]:
                yield f"{place}.bins.{variable}", "low must be below high"
