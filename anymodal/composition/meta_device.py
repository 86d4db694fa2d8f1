"""Models on torch's meta device: every parameter's shape and dtype, and none of its values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from torch import nn

from anymodal.config import ConfigError
from anymodal.io.recorded import OPENS


def build_without_weights(target: Callable[..., object], arguments: Mapping[str, object]) -> object:
    """Build a part without reading a weight, for `config.instantiate`.

    A target with an argument `weights` is called with False; networks of diffusers are built of
    their folder's configuration; everything else is called as it is.

    Raises:
        ConfigError: for a class whose `from_pretrained` can only read weights.
    """
    if _reads_weights(target):
        return target(**{**arguments, "weights": False})
    owner = getattr(target, "__self__", None)
    if not inspect.isclass(owner) or getattr(target, "__name__", "") != OPENS:
        return target(**arguments)
    import diffusers  # here, since only a plan wants it at once

    from anymodal.decoders.meta_device import network_on_meta_device

    if issubclass(owner, diffusers.ModelMixin):
        settings = dict(arguments)
        return network_on_meta_device(
            owner, str(settings.pop("pretrained_model_name_or_path")), **settings
        )
    if not issubclass(owner, nn.Module):
        return target(**arguments)  # a tokenizer, say
    raise ConfigError(
        f"{owner.__name__} can't be built without its weights; give its classmethod "
        f"'{OPENS}' an argument 'weights' that builds on the meta device where it is False"
    )


def _reads_weights(target: Callable[..., object]) -> bool:
    """Return whether an argument `weights` says that values are read; a mixture's are shares."""
    argument = inspect.signature(target).parameters.get("weights")
    return argument is not None and argument.default is not None


def check_meta_device(model: nn.Module, weights: bool) -> None:
    """Check that a model has values where they are wanted, and none where they aren't.

    Raises:
        ConfigError: naming a parameter, and what to do.
    """
    for name, parameter in model.named_parameters():
        if parameter.is_meta == weights:
            raise ConfigError(
                f"{name} has no values; leave 'weights: false' out of its part"
                if weights
                else f"{name} was read with its values; build its part in a class with "
                f"'{OPENS}(…, weights)', or in a constructor"
            )
