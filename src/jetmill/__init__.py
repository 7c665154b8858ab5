"""jetmill: from simulated collisions to files a jet-flavour tagger can be trained on."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jetmill.loading import Jets, load

__all__ = ["Jets", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Jobs import single modules of jetmill by the thousand; only a reader of results pays for h5py here.
    if name in __all__:
        from jetmill import loading

        return getattr(loading, name)
    raise AttributeError(f"module 'jetmill' has no attribute '{name}'")
