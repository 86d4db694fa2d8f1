"""A sheet of sixty drawings, each above a fresh render of what was asked for.

A column for each thing, five of each. The figures' overlap is printed with it: intersection over
union of the silhouettes, for big and small things.

    python benchmarks/contact_sheet.py --out docs/_static/nano-drawings.webp
    python benchmarks/contact_sheet.py --decoder runs/nano/image/model --out sheet.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from anymodal import AnyModal
from anymodal.decoders import DiffusionDecoder
from anymodal.media import Image
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.keeping import match_size, silhouette_overlap
from anymodal.toybox.renderers.visual import IMAGE_SIZE, render_image
from anymodal.toybox.scene import VALUES, Scene, sample_scene

ROWS = 5
BATCH = 20
SIZES = ("big", "small")


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="nano", help="a model that draws by chat")
    parser.add_argument("--decoder", help="a decoder folder, to draw from captions instead")
    parser.add_argument(
        "--references", nargs="*", default=["source"], help="its roles, for --decoder"
    )
    parser.add_argument("--steps", type=int, default=12, help="of denoising, for --decoder")
    parser.add_argument("--guidance", type=float, default=3.0, help="for --decoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="a picture file")
    args = parser.parse_args()
    scenes = sheet_scenes(args.seed)
    if args.decoder:
        drawings = drawn_from_captions(args, scenes)
    else:
        drawings = drawn_in_chat(args.model, scenes, args.seed)
    renders = [
        render_image(scene, np.random.default_rng((args.seed, index, 2)))
        for index, scene in enumerate(scenes)
    ]
    sheet(drawings, renders).save(args.out, quality=90)
    for size in SIZES:
        overlaps = [
            0.0 if drawing is None else silhouette_overlap(drawing, render)
            for scene, drawing, render in zip(scenes, drawings, renders, strict=True)
            if scene.size == size
        ]
        print(f"{size}: overlap {np.mean(overlaps):.3f} of {len(overlaps)} drawings")


def sheet_scenes(seed: int) -> list[Scene]:
    """The scenes, row by row: every thing, big and small in turns, in any color."""
    return [
        sample_scene(
            np.random.default_rng((seed, row, column)), thing=thing, size=SIZES[(row + column) % 2]
        )
        for row in range(ROWS)
        for column, thing in enumerate(VALUES["thing"])
    ]


def drawn_from_captions(
    args: argparse.Namespace, scenes: Sequence[Scene]
) -> list[np.ndarray | None]:
    """A decoder's own drawings (H, W, 3), made from nothing but captions."""
    decoder = DiffusionDecoder.from_pretrained(args.decoder, references=args.references)
    captions = [caption(scene.observable("image"), "image") for scene in scenes]
    media = []
    with torch.inference_mode():
        for start in range(0, len(captions), BATCH):
            places = range(start, min(start + BATCH, len(captions)))
            media += decoder.sample(
                decoder.embed_captions([captions[place] for place in places]),
                steps=args.steps,
                guidance=args.guidance,
                generator=[torch.Generator().manual_seed(args.seed + place) for place in places],
            )
    return [item.pixels for item in media if isinstance(item, Image)]


def drawn_in_chat(name: str, scenes: Sequence[Scene], seed: int) -> list[np.ndarray | None]:
    """The first picture of each reply (H, W, 3); None where there is none."""
    model = AnyModal.from_pretrained(name)
    drawings: list[np.ndarray | None] = []
    for index, scene in enumerate(scenes):
        request = f"draw {caption(scene.observable('image'), 'image')}"
        reply = model.chat(request, seed=seed + index)
        pictures = [item.pixels for item in reply.media if isinstance(item, Image)]
        drawings.append(pictures[0] if pictures else None)
    return drawings


def sheet(drawings: Sequence[np.ndarray | None], renders: Sequence[np.ndarray]) -> PIL.Image.Image:
    """Pairs, drawing above render, in rows of one for each thing."""
    empty = np.full((IMAGE_SIZE, IMAGE_SIZE, 3), 128, np.uint8)
    pairs = [
        np.concatenate([empty if drawing is None else match_size(drawing, IMAGE_SIZE),
                        match_size(render, IMAGE_SIZE)])
        for drawing, render in zip(drawings, renders, strict=True)
    ]  # fmt: skip
    columns = len(pairs) // ROWS
    rows = [np.concatenate(pairs[row * columns : (row + 1) * columns], 1) for row in range(ROWS)]
    return PIL.Image.fromarray(np.concatenate(rows))


if __name__ == "__main__":
    main()
