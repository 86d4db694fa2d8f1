"""Configuration: load, override, validate and instantiate, with OmegaConf underneath.

A *part* is a mapping with `_target_`, a dotted path to a class, function or classmethod, and its
keyword arguments. `validate_node` binds every part against its signature without building anything,
`instantiate` builds it. `{_part_: name}` stands for the one shared object built from `parts.name`.
"""

from anymodal.config.instantiate import (
    BuildPart,
    build_parts,
    call,
    instantiate,
    referenced_parts,
    takes,
)
from anymodal.config.load import HERE, explain, load_config, resolve_here, structured
from anymodal.config.targets import TRUSTED, resolve_target
from anymodal.config.validate import check_arguments, check_base, validate_node, validate_parts
from anymodal.config.values import ConfigError, nearest, shorten, suggest

__all__ = [
    "HERE",
    "TRUSTED",
    "BuildPart",
    "ConfigError",
    "build_parts",
    "call",
    "check_arguments",
    "check_base",
    "explain",
    "instantiate",
    "load_config",
    "nearest",
    "referenced_parts",
    "resolve_here",
    "resolve_target",
    "shorten",
    "structured",
    "suggest",
    "takes",
    "validate_node",
    "validate_parts",
]
