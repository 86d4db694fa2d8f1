"""Configuration: load, override, validate and instantiate, with OmegaConf underneath.

A *part* is a mapping with `_target_`, a dotted path to a class, function or classmethod, and its
keyword arguments. `validate` binds every part against its signature without building anything,
`instantiate` builds it. `{_part_: name}` stands for the one shared object built from `parts.name`.
"""

from anymodal.config.instantiate import build_parts, call, calling, current_call, instantiate
from anymodal.config.load import HERE, explain, load, placed, structured
from anymodal.config.targets import TRUSTED, resolve_target
from anymodal.config.validate import check_arguments, check_base, validate, validate_parts
from anymodal.config.values import ConfigError, shown, suggest

__all__ = [
    "HERE",
    "TRUSTED",
    "ConfigError",
    "build_parts",
    "call",
    "calling",
    "check_arguments",
    "check_base",
    "current_call",
    "explain",
    "instantiate",
    "load",
    "placed",
    "resolve_target",
    "shown",
    "structured",
    "suggest",
    "validate",
    "validate_parts",
]
