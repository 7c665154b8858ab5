"""The files of code that a configuration names, found without running any of it.

On the command line: ``python -m jetmill.config.user_code theirs.yaml``.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jetmill.config.yaml_files import read_yaml
from jetmill.errors import JetmillError


def user_code(raw: Mapping[str, Any]) -> list[str]:
    """Return the plug-ins and networks that a configuration, right or wrong, names, each once.

    Checking a configuration runs its plug-ins, so this comes first.
    """
    jets = raw.get("jets")
    networks = jets.get("networks") if isinstance(jets, Mapping) else None
    files = (
        [n["file"] for n in networks if isinstance(n, Mapping) and "file" in n] if isinstance(networks, list) else []
    )
    found = [*(f"plug-in {path}" for path in _plugins(raw)), *(f"network {path}" for path in files)]
    return list(dict.fromkeys(found))


def _plugins(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("plugin"), str):
            yield node["plugin"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _plugins(item)


def main(paths: Sequence[str]) -> int:
    """Print what code configurations name, without running it; return 1 if one is refused, 0 if not."""
    if not paths:
        print("usage: python -m jetmill.config.user_code FILE...", file=sys.stderr)
        return 2
    code = 0
    for path in paths:
        try:
            raw = read_yaml(path)
        except JetmillError as error:
            print(error)
            code = 1
        else:
            found = user_code(raw) if isinstance(raw, Mapping) else []
            print(f"{path}: {', '.join(found) or 'no plug-in, no network'}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
