"""Models under evaluation as the command line names them: folders, or endpoints of OpenAI's API."""

from __future__ import annotations

import argparse
import copy
from typing import TYPE_CHECKING, Any

from anymodal.cli.options import add_device, add_trust, count, open_model, whole

if TYPE_CHECKING:
    from anymodal.evaluation.benchmark_run import NamedPredictor
    from anymodal.evaluation.predictor import ModelPredictor

MODEL_HELP = (
    "a model folder, a run's folder or a checkpoint in it, the name of a shipped model, or the "
    "base URL of an OpenAI-compatible endpoint, as http://localhost:8000/v1"
)
KEY_HELP = "An endpoint's key is read from the environment variable OPENAI_API_KEY."


def add_predictors(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how models are opened and asked."""
    add = parser.add_argument
    add_trust(parser)
    add_device(parser)
    add("--dtype", metavar="TYPE", help="the weights' precision, as bfloat16 (default: the files')")
    add("--batch", type=count, default=8, help="samples at once (default: %(default)s)")
    add("--seed", type=whole, default=0, help="decides everything (default: %(default)s)")
    add("--max-new-tokens", type=count, help="the longest reply (default: what the task needs)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of text or media, as temperature=0.7, or image.steps=8 for one "
        "modality; may be given several times",
    )


def is_endpoint(name: str) -> bool:
    """Return whether a model's name is the address of an endpoint."""
    return "://" in name


def named_predictor(
    args: argparse.Namespace, name: str, remote_name: str | None, max_new_tokens: int
) -> NamedPredictor:
    """A model as a predictor; whether it is there is checked at once, and it is opened later.

    Args:
        args: the command's, with the options of `add_predictors`.
        name: see `MODEL_HELP`.
        remote_name: the model's name at an endpoint.
        max_new_tokens: the longest reply, where no option says it.

    Raises:
        ValueError: if there is no such model, or an endpoint's model has no name.
    """
    from anymodal.composition import find, is_run
    from anymodal.evaluation.benchmark_run import NamedPredictor
    from anymodal.evaluation.endpoint import EndpointPredictor

    length = args.max_new_tokens or max_new_tokens
    if not is_endpoint(name):
        if not is_run(name):
            find(name)
        return NamedPredictor(name, lambda: _local(args, name, length))
    if remote_name is None:
        raise ValueError(f"{name} is an endpoint; name its model too, as --model-name gpt-4o")
    values: dict[str, Any] = {"max_tokens": length, **dict(map(_setting, args.set))}
    endpoint = EndpointPredictor(name, remote_name, settings=values, concurrency=args.batch)
    return NamedPredictor(f"{remote_name} at {name}", lambda: endpoint)


def _local(args: argparse.Namespace, name: str, max_new_tokens: int) -> ModelPredictor:
    from anymodal.chat.session import Session
    from anymodal.cli.chat_settings import apply_setting
    from anymodal.evaluation.predictor import ModelPredictor

    values = {"model": name, "provenance": True, "sign_key": None, "sign_certificates": None}
    own = copy.copy(args)
    vars(own).update(values)
    model = open_model(own)
    # A session reads settings as they are typed, of text and of media.
    session = Session(model, max_new_tokens=max_new_tokens)
    for item in args.set:
        apply_setting(session, *item.partition("=")[::2])
    return ModelPredictor(
        model, sampling=session.sampling or None, batch_size=args.batch, **session.text
    )


def _setting(item: str) -> tuple[str, object]:
    import json

    name, _, value = item.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
