"""Measures of what an edit keeps: centre and area of the figure, the ground, a clip's first frame.

Shapes: H height and W width in pixels. Images are compared at the sampler's own size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from scipy import ndimage

from anymodal.media import Image
from anymodal.toybox.oracles.segmentation import Floats, figure_mask, resize_frame

if TYPE_CHECKING:
    from anymodal.decoders import DiffusionDecoder

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

WINDOW = 7
"""Side of SSIM's windows."""
MAX_CENTRE = 2.0
"""Pixels that a figure's centre may be from where it is to be."""
MAX_AREA = 0.08
"""Share of its area that a figure may gain or lose."""
_FIGURE = 0.5
"""Value of the soft mask above which a pixel is the figure's."""


def ssim_map(first: Pixels, second: Pixels) -> Floats:
    """Structural similarity of each pixel's window, mean of the channels; shape (H, W).

    Wang et al. 2004 (doi:10.1109/TIP.2003.819861), equation 13, with uniform windows.

    Raises:
        ValueError: if the images are of different shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"images of shapes {first.shape} and {second.shape} can't be compared")
    a, b = first.astype(float), second.astype(float)

    def mean(values: Floats) -> Floats:
        return np.asarray(ndimage.uniform_filter(values, (WINDOW, WINDOW, 1)))

    mean_a, mean_b = mean(a), mean(b)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    var_a, var_b = (mean(a * a) - mean_a**2) * unbiased, (mean(b * b) - mean_b**2) * unbiased
    covariance = (mean(a * b) - mean_a * mean_b) * unbiased
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return np.asarray((luminance * structure).mean(-1))


def _inner(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Without the pixels whose windows reach out of the image."""
    edge = WINDOW // 2
    return values[edge:-edge, edge:-edge]


def frame_ssim(first: Pixels, second: Pixels) -> float:
    """Mean structural similarity of two images of one shape."""
    return float(_inner(ssim_map(first, second)).mean())


def figure(pixels: Pixels) -> Mask:
    """The pixels (64, 64) of the figure in a square image, of any size."""
    return np.asarray(figure_mask(resize_frame(pixels)) > _FIGURE)


def ground_ssim(source: Pixels, result: Pixels) -> float | None:
    """Mean SSIM of the windows that touch neither image's figure; None if there are none."""
    source, result = (resize_frame(image).astype(np.uint8) for image in (source, result))
    touched = ndimage.binary_dilation(
        figure_mask(source.astype(float)) + figure_mask(result.astype(float)) > 0.1,
        np.ones((WINDOW, WINDOW)),
    )
    ground = _inner(~touched)
    return float(_inner(ssim_map(source, result))[ground].mean()) if ground.any() else None


def measure_edit(source: Pixels, result: Pixels, target: Pixels) -> dict[str, float]:
    """Figures of what an edit kept, to be averaged over edits.

    Args:
        source: the image that was edited.
        result: what came.
        target: a render of what was to come, placed as the source.

    Returns:
        Distance of the figure's centre from the target's in pixels, and its area's change as a
        share; whether each is within its limit (0 or 1), which neither is without a figure; the
        SSIM of the ground with the source's, and of the whole image with the target's. Grounds are
        so plain that two of them are alike; where the figure lies shows in the whole.
    """
    result = match_size(result, len(target))
    place, shape = figure(target), figure(result)
    measures = {"centre kept": 0.0, "area kept": 0.0}
    if shape.any():
        distance = np.hypot(
            *np.subtract(ndimage.center_of_mass(place), ndimage.center_of_mass(shape))
        )
        change = abs(float(shape.sum()) / float(place.sum()) - 1)
        measures = {
            "centre kept": float(distance <= MAX_CENTRE),
            "centre px": float(distance),
            "area kept": float(change <= MAX_AREA),
            "area change": change,
        }
    similarity = ground_ssim(source, result)
    if similarity is not None:
        measures["ground SSIM"] = similarity
    return {**measures, "target SSIM": frame_ssim(target, result)}


def match_size(pixels: Pixels, side: int) -> Pixels:
    """The image at another side, as a sampler of another size would have made it."""
    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(PIL.Image.fromarray(pixels).resize((side, side), PIL.Image.Resampling.BOX))


@torch.inference_mode()
def reconstruct(decoder: DiffusionDecoder, image: Image) -> Pixels:
    """An image as the decoder's autoencoder alone gives it back, the most that an edit can keep."""
    vae = decoder.pipeline.vae
    latents = decoder.encode(decoder.prepare(image)[None]) / vae.config.scaling_factor
    decoded = vae.decode(latents + (vae.config.get("shift_factor") or 0.0)).sample[0]  # (3, H, W)
    return np.asarray(
        (127.5 * (decoded.float() + 1)).round().clip(0, 255).to(torch.uint8).permute(1, 2, 0).cpu()
    )


def silhouette_overlap(drawn: Pixels, fresh: Pixels) -> float:
    """Intersection over union of the figures of two square images, aligned by centre and area.

    0 where one of them has no figure.
    """
    own, other = (figure_mask(resize_frame(image)) for image in (drawn, fresh))
    if not (own > _FIGURE).any() or not (other > _FIGURE).any():
        return 0.0
    scale = np.sqrt(other.sum() / own.sum())
    places = np.indices(own.shape, float)
    centres = (ndimage.center_of_mass(mask) for mask in (own, other))
    for axis, (here, there) in enumerate(zip(*centres, strict=True)):
        places[axis] = (places[axis] - here) * scale + there
    aligned = ndimage.map_coordinates(other, places, order=1) > _FIGURE
    return float((aligned & (own > _FIGURE)).sum() / (aligned | (own > _FIGURE)).sum())
