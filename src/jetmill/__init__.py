"""jetmill: from simulated collisions to files a jet-flavour tagger can be trained on."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jetmill.loading import Jets, load
    from jetmill.streaming import DumpStream, Stream

__all__ = ["DumpStream", "Jets", "Stream", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Jobs import single modules of jetmill by the thousand; only a reader of results pays for h5py here.
    if name in ("Jets", "load"):
        from jetmill import loading

        return getattr(loading, name)
    if name in ("DumpStream", "Stream"):
        from jetmill import streaming

        return getattr(streaming, name)
    raise AttributeError(f"module 'jetmill' has no attribute '{name}'")
