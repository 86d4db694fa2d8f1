"""Settings of a reply, by name: of its text and of its media."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeGuard

from anymodal.config import suggest
from anymodal.decoders.speech.base import NONE, PASSAGES
from anymodal.language.sampling import Sampling
from anymodal.media import Media
from anymodal.types import Message

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


class TextSettings(TypedDict, total=False):
    """Settings of text generation.

    `anymodal.language.sampling.Sampling` checks the values and has the defaults.
    """

    max_new_tokens: int
    """The longest reply, in tokens, 256 by default; a signal span that won't fit isn't begun."""
    temperature: float
    """0, the default, takes the likeliest token; 1 samples by the model's own probabilities."""
    top_p: float
    """Sample among the likeliest tokens that together have this probability; 1, the default, keeps
    all (Holtzman et al. 2019, section 3.1)."""
    top_k: int
    """Sample among this many of the likeliest tokens; 0, the default, keeps all."""
    min_p: float
    """Drop tokens of less than this share of the likeliest one's probability; 0, the default, keeps
    all (Nguyen et al. 2024, arXiv:2407.01082, section 3)."""
    repetition_penalty: float
    """Divide the scores of text tokens that the reply has already; 1, the default, changes nothing
    (Keskar et al. 2019, section 4.1)."""
    max_spans: int | None
    """The most media that a reply asks for; None, the default, sets no limit."""
    modalities: Sequence[str] | None
    """The modalities that a reply may ask for; None, the default, stands for all."""
    top_logprobs: int | None
    """Each piece of the stream has its tokens' log-probabilities, with this many (up to 20) of the
    likeliest beside each; None, the default, gives none."""
    choices: Sequence[str] | Sequence[Sequence[str] | None] | None
    """The reply is one of these texts, and `Message.choices` has the probability of each; None, the
    default, for any reply. Of several conversations at once each may have a list of its own. Of the
    settings above only the temperature then counts: 0 takes the likeliest text."""
    choice_method: str
    """`likelihood`, the default, goes by each text's probability as a whole reply; `constrained`
    token by token, each among those that continue one of the texts."""
    choice_normalization: str
    """By what a text's log-likelihood is divided: `none`, the default, its `tokens` or its
    `characters`. The default compares whole replies; where choices differ much in length and the
    model wasn't trained on them, try the others."""
    stop: str | Sequence[str]
    """A text, or up to 16, that end the reply where they appear; they are left out of it."""


class MediaSettings(TypedDict, total=False):
    """Settings of media of one modality.

    A setting that is left out is the modality's own. Where a decoder of your own takes more, give a
    subclass that has them.
    """

    steps: int
    """Denoising steps, up to 1000. More take longer and may look better."""
    guidance: float
    """Weight of classifier-free guidance; 1 means none and takes half the time (Ho & Salimans 2022,
    arXiv:2207.12598)."""
    number: int
    """Media that are made, one after another, for each that the reply asks for; 1, the default, up
    to 32. Each has a seed of its own, so the first is the one that is made alone."""


class DiffusionSettings(MediaSettings, total=False):
    """Settings of sampling media with a diffusers pipeline, of those that it takes."""

    negative_prompt: str
    """A caption that guidance leads away from, instead of the empty one."""
    height: int
    """Of a picture or a clip, in pixels; the decoder's own by default."""
    width: int
    """Likewise."""
    frames: int
    """Of a clip; the decoder's own by default."""
    seconds: float
    """Of a sound; the decoder's own by default."""
    strength: float
    """Share of the steps that a medium which starts from a reference takes, above 0 and up to 1
    (Meng et al. 2021, arXiv:2108.01073). Where nothing can be one it is refused; the model's own is
    passed over there, and media start from noise."""
    reference_guidance: float
    """Weight of guidance towards the references, where the denoiser has learned to do without them
    (Brooks et al. 2023, arXiv:2211.09800, equation 3)."""


class SpeechSettings(MediaSettings, total=False):
    """Settings of speech, of those that a speaker takes."""

    passages: str
    """Which passages of a reply are spoken: those that it marks (`marked`, the default), `all` of
    it, or `none`."""
    voice: str | Media | None
    """Whose: the name of a voice that the speaker has, or a recording of somebody who speaks."""
    temperature: float
    """0 takes the likeliest sound; more draws."""


MediaSettingsByModality = Mapping[str, MediaSettings]


def check_settings(
    model: ComposedModel, sampling: object, text: TextSettings, others: Sequence[str] = ()
) -> tuple[Sampling, dict[str, dict[str, Any]]]:
    """Check the settings of a reply.

    Args:
        model: who is to reply.
        sampling: `MediaSettings` by modality, over the model's own; None for those alone.
        text: settings of the text.
        others: further names that a misspelt setting may have meant.

    Returns:
        How tokens are chosen, and arguments of `Decoder.sample` and `Speaker.speak` by modality.

    Raises:
        ValueError: a setting or a modality is unknown, or a value of the wrong type or range.
    """
    choice = _of_decoders(model, Sampling.of(text, others))
    by_modality = {} if sampling is None else sampling
    if not isinstance(by_modality, Mapping):
        raise ValueError(
            f"sampling={sampling!r}; give settings by modality, as {{'image': {{'steps': 20}}}}"
        )
    outputs = [*model.decoders, *model.speakers]
    allowed = text.get("modalities")
    for name in (*by_modality, *(allowed or ())):
        if name not in outputs:
            listing = ", ".join(outputs) or "text alone"
            hint = suggest(name, outputs) if outputs else ""
            raise ValueError(f"this model makes no {name!r}; it makes {listing}{hint}")
    # Of every output, since nobody knows yet which media the reply will ask for.
    settings = {
        name: model.modalities[name].settings(by_modality.get(name, {}), f"sampling of {name!r}")
        for name in outputs
    }
    for name in model.speakers:
        if allowed is not None and name not in allowed:
            settings[name][PASSAGES] = NONE
    return choice, settings


def _of_decoders(model: ComposedModel, choice: Sampling) -> Sampling:
    """Settings of the choice of tokens, of which none asks for speech."""
    if choice.modalities is None:
        return choice
    names = [name for name in choice.modalities if name not in model.speakers]
    return dataclasses.replace(choice, modalities=names)


def has_own_choices(choices: object) -> TypeGuard[Sequence[Sequence[str] | None]]:
    """Tell choices of each of several conversations from those of one, or of all."""
    return (
        isinstance(choices, Sequence)
        and not isinstance(choices, str)
        and len(choices) > 0
        and all(each is None or isinstance(each, list | tuple) for each in choices)
    )


def check_system_prompt(model: ComposedModel, text: str) -> None:
    """Check that a model takes a system prompt, before anything is asked; an empty one is none.

    Raises:
        ValueError: if its chat template has no place for one.
    """
    if text.strip():
        model.prompts.build([Message("system", text), Message("user", "?")], reply=True)
