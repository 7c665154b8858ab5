"""jetmill: from simulated collisions to files a jet-flavour tagger can be trained on."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jetmill.loading.dump_stream import DumpStream
    from jetmill.loading.jets import Jets, load
    from jetmill.loading.streams import Stream

__all__ = ["DumpStream", "Jets", "Stream", "load"]
__version__ = "0.2.0"

_MODULES = {"DumpStream": "dump_stream", "Jets": "jets", "Stream": "streams", "load": "jets"}


def __getattr__(name: str) -> Any:
    # Jobs import single modules of jetmill by the thousand; only a reader of results pays for h5py here.
    if name in _MODULES:
        return getattr(import_module(f"jetmill.loading.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'jetmill' has no attribute '{name}'")
