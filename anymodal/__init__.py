"""AnyModal: compose, train and serve models that take any modality in and give any out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Imported when first used, so that `import anymodal` and the command line's help stay quick.
_HOMES = {"AnyModal": "model", "Modality": "modality", "Message": "types"}

if TYPE_CHECKING:
    from anymodal.modality import Modality as Modality
    from anymodal.model import AnyModal as AnyModal
    from anymodal.types import Message as Message


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'anymodal' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"anymodal.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
