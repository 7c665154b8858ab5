"""Packages that only some configurations need: what needs them, and how to do without."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from jetmill.errors import JetmillError


@dataclass(frozen=True)
class Package:
    """A package, or several that belong together.

    Attributes
    ----------
    key
        The key of the configuration that needs it, and its value.
    modules
        Modules of it that are imported.
    install
        Arguments of ``pip install``.
    otherwise
        What to do without it.
    """

    key: str
    name: str
    modules: tuple[str, ...]
    install: str
    otherwise: str = "leave it out"

    def __str__(self) -> str:
        return f"{self.key} needs {self.name}; `pip install {self.install}`, or {self.otherwise}"

    @property
    def installed(self) -> bool:
        """Whether it can be found; to import it would take seconds for some."""
        return all(find_spec(module) is not None for module in self.modules)

    def load(self, module: str = "") -> Any:
        """Import a module of it, the first by default, or raise JetmillError that says what to install."""
        try:
            return import_module(module or self.modules[0])
        except ModuleNotFoundError:
            raise JetmillError(str(self)) from None


COMPRESSION = {
    name: Package(f"write.compression: {name}", "hdf5plugin", ("hdf5plugin",), "hdf5plugin", "choose gzip")
    for name in ("lz4", "zstd")
}
FLAVOURS = Package("classes: ftag.<flavour>", "atlas-ftag-tools", ("ftag",), "atlas-ftag-tools", "write the expression")
NETWORKS = Package("jets.networks", "onnxruntime", ("onnxruntime",), "onnxruntime")
_XROOTD = ("fsspec-xrootd and xrootd", ("fsspec_xrootd", "XRootD"), "fsspec-xrootd xrootd")
_HTTP = ("aiohttp and requests", ("aiohttp", "requests"), "aiohttp requests")
PROTOCOLS = {
    name: Package(f"samples: input from {name}://", *packages, "copy the files to this machine")
    for name, packages in {"root": _XROOTD, "http": _HTTP, "https": _HTTP}.items()
}
