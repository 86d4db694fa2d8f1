"""Accuracy per component: oracle, linear probes, language model, decoder, head, full chain.

Each component is measured alone, with right inputs. Where the figures fall from one component to
the next, that one loses the attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from anymodal.decoders import DiffusionDecoder
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.media import Image
from anymodal.modality import Modality
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.grammar.dialogues import KINDS, as_text, sample_dialogue
from anymodal.toybox.grammar.types import DialogueTurn, MediaItem
from anymodal.toybox.keeping import frame_ssim, ground_ssim, match_size, reconstruct
from anymodal.toybox.matrix import MatrixPlan, evaluate_matrix
from anymodal.toybox.matrix_report import attribute_table
from anymodal.toybox.probes import encoder_features, probe_accuracy, soft_token_features
from anymodal.toybox.progress import batches_of
from anymodal.toybox.render import MODALITIES
from anymodal.toybox.renderers.visual import IMAGE_SIZE
from anymodal.toybox.scene import all_scenes
from anymodal.toybox.scoring import SceneSet, read_attributes, score, score_reply
from anymodal.toybox.shares import AttributeShares, attributes
from anymodal.toybox.tasks.grammar import GrammarSample
from anymodal.types import Message, Target

if TYPE_CHECKING:
    from anymodal.decoders import Decoder
    from anymodal.media import Media
    from anymodal.model import AnyModal


class ComponentAccuracy(NamedTuple):
    """The accuracy of one component: its name, and the shares of right attributes."""

    name: str
    shares: AttributeShares


def diagnose(model: AnyModal, scenes: SceneSet, *, batch_size: int = 16) -> list[ComponentAccuracy]:
    """Measure every component of a model whose modality the Toybox renders.

    Args:
        model: the model.
        scenes: to measure on.
        batch_size: media or conversations at once.
    """
    results: list[ComponentAccuracy] = []
    for name, modality in model.modalities.items():
        kind = modality.media.kind
        if kind in MODALITIES:
            results.append(oracle_accuracy(kind, scenes))
            results += _input_side(model, name, modality, scenes, batch_size)
            results += _output_side(model, name, modality, scenes, batch_size)
    return results


def _input_side(
    model: AnyModal, name: str, modality: Modality, scenes: SceneSet, batch_size: int
) -> Iterator[ComponentAccuracy]:
    """From an encoder to the words about its media."""
    if modality.encoder is None:
        return
    kind = modality.media.kind
    readers = {
        f"{kind}: encoder, linear probe": encoder_features(modality.encoder),
        f"{kind}: soft tokens, linear probe": soft_token_features(model, name),
    }
    for label, read in readers.items():
        yield ComponentAccuracy(label, probe_accuracy(kind, read, scenes, label))
    yield language_accuracy(model, kind, scenes)
    yield from _full_chain(model, f"{kind}>text", scenes, batch_size)


def _output_side(
    model: AnyModal, name: str, modality: Modality, scenes: SceneSet, batch_size: int
) -> Iterator[ComponentAccuracy]:
    """From words to a decoder's media."""
    if modality.decoder is None:
        return
    if isinstance(modality.decoder, DiffusionDecoder) and modality.decoder.media is Image:
        yield autoencoder_accuracy(modality.decoder, scenes)
    steps, guidance = modality.sampling["steps"], modality.sampling["guidance"]
    yield decoder_accuracy(
        modality.decoder, scenes, steps=steps, guidance=guidance, batch_size=batch_size
    )
    yield head_accuracy(model, name, scenes)
    yield from _full_chain(model, f"text>{modality.media.kind}", scenes, batch_size)


def _full_chain(
    model: AnyModal, kind: str, scenes: SceneSet, batch_size: int
) -> Iterator[ComponentAccuracy]:
    """All components together, on conversations of the matrix."""
    if kind in KINDS:
        plan = MatrixPlan((kind,), scenes.count, scenes.seed, (scenes.unseen,), batch_size)
        shares = evaluate_matrix(ModelPredictor(model), plan)["results"][0]
        yield ComponentAccuracy(f"{kind}: full chain", shares)


def oracle_accuracy(modality: str, scenes: SceneSet) -> ComponentAccuracy:
    """The oracle on rendered media: the upper bound of what can be measured."""
    media = scenes.media(modality)
    scores = [score(read_attributes(modality, item), expected) for item, expected in media]
    return ComponentAccuracy(f"{modality}: oracle on rendered media", attributes(scores))


def autoencoder_accuracy(decoder: DiffusionDecoder, scenes: SceneSet) -> ComponentAccuracy:
    """An image decoder's autoencoder on rendered images: the most that an edit can keep of one.

    Beside the attributes, the SSIM of the ground and of the whole image with what was encoded.
    """
    scores, grounds, wholes = [], [], []
    for item, expected in scenes.media("image"):
        assert isinstance(item, Image)
        source, result = match_size(item.pixels, IMAGE_SIZE), reconstruct(decoder, item)
        result = match_size(result, IMAGE_SIZE)
        scores.append(score(read_attributes("image", Image(result)), expected))
        wholes.append(frame_ssim(source, result))
        similarity = ground_ssim(source, result)
        grounds += [] if similarity is None else [similarity]
    shares = attributes(scores)
    shares["by_attribute"]["image SSIM"] = float(np.mean(wholes))
    if grounds:
        shares["by_attribute"]["ground SSIM"] = float(np.mean(grounds))
    return ComponentAccuracy("image: autoencoder alone", shares)


@torch.inference_mode()
def decoder_accuracy(
    decoder: Decoder, scenes: SceneSet, *, steps: int, guidance: float, batch_size: int = 16
) -> ComponentAccuracy:
    """A decoder on the conditioning of captions: the upper bound for any head.

    Args:
        decoder: the decoder.
        scenes: to measure on.
        steps: of sampling.
        guidance: classifier-free guidance scale.
        batch_size: media at once.
    """
    modality = decoder.media.kind
    scores = []
    samples = scenes.captions(modality)
    for start, batch in batches_of(samples, batch_size, f"{modality} from captions"):
        # A generator for each item, so that its media don't depend on the batch size.
        seeds = range(scenes.seed + start, scenes.seed + start + len(batch))
        media = decoder.sample(
            decoder.embed_captions([text for text, _ in batch]),
            steps=steps,
            guidance=guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        )
        scores += [
            score(read_attributes(modality, item), expected)
            for item, (_, expected) in zip(media, batch, strict=True)
        ]
    return ComponentAccuracy(f"{modality}: decoder on captions", attributes(scores))


def language_accuracy(model: AnyModal, kind: str, scenes: SceneSet) -> ComponentAccuracy:
    """The language model on questions about media that stand as captions in the prompt."""
    scores: list[dict[str, bool]] = []
    samples = [
        GrammarSample(scenes.seed, f"{kind}>text", scenes.unseen, index)
        for index in range(scenes.count)
    ]
    predictor = ModelPredictor(model)
    for _, batch in batches_of(samples, 32, f"{kind} as captions"):
        requests = [as_text(sample.dialogue)[0].parts for sample in batch]
        conversations = [[Message("user", list(map(str, parts)))] for parts in requests]
        replies = predictor(conversations, [sample.reply_seed(0) for sample in batch])
        for sample, reply in zip(batch, replies, strict=True):
            scores.append(score_reply("text", reply.text, sample.dialogue.answers[0][0]))
    return ComponentAccuracy(f"{kind}: language model on captions", attributes(scores))


@torch.inference_mode()
def head_accuracy(model: AnyModal, name: str, scenes: SceneSet) -> ComponentAccuracy:
    """A head, by the caption whose conditioning is nearest to the head's output.

    Args:
        model: the model.
        name: of the modality.
        scenes: to measure on.
    """
    modality = model.modalities[name]
    kind = modality.media.kind
    dialogues = [
        sample_dialogue(
            np.random.default_rng([scenes.seed, index, 9]),
            kind=f"text>{kind}",
            unseen=scenes.unseen,
        )
        for index in range(scenes.count)
    ]
    samples = [[_as_message(turn, name) for turn in dialogue.turns] for dialogue in dialogues]
    outputs = model.conditioning(name, samples)
    assert outputs is not None and modality.decoder is not None, "every sample asks for one"
    # Every scene's attributes by their caption: several scenes have the same.
    candidates = {
        caption(values, kind): values
        for values in (scene.observable(kind) for scene in all_scenes())
    }
    rows = []
    for _, texts in batches_of(list(candidates), 64, f"captions of {kind}"):
        embeds, mask, _ = modality.decoder.embed_captions(texts)
        rows.append((embeds * mask[..., None]).float().flatten(1))  # (B, L * C)
    distances = torch.cdist(outputs[1].embeds.float().flatten(1), torch.cat(rows))
    nearest = [list(candidates.values())[place] for place in distances.argmin(1)]
    expected = [dialogue.answers[0][0] for dialogue in dialogues]
    scores = [score(values, each) for values, each in zip(nearest, expected, strict=True)]
    return ComponentAccuracy(f"{kind}: head, nearest caption", attributes(scores))


def _as_message(turn: DialogueTurn, name: str) -> Message:
    parts: list[str | Media | Target] = [
        Target(name, part.caption) if isinstance(part, MediaItem) else part for part in turn.parts
    ]
    return Message(turn.role, parts)


def diagnosis_table(results: Sequence[ComponentAccuracy]) -> str:
    """The components as a Markdown table, with a column for each attribute."""
    return attribute_table("component", [(result.name, result.shares) for result in results])
