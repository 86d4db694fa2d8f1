"""A language model that asks experts about pictures: a detector and a segmenter as its tools.

    python examples/experts.py kitchen.jpg "How many cups are on the table?"

The language model sees no picture. It is told the files' names, calls an expert with one of them,
and reads what it found, as in GPT4Tools (arXiv:2305.18752). Any language model with tools in its
chat template does; larger ones call them more reliably.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from transformers import pipeline

from anymodal import AnyModal
from anymodal.types import Done, TextDelta, ToolCalled, ToolFinished


def experts(pictures: list[Path], detector: str, segmenter: str) -> list[Callable[..., object]]:
    """The tools; they open the given pictures and no other file."""
    files = {path.name: path for path in pictures}
    find = pipeline("object-detection", model=detector)
    cut = pipeline("image-segmentation", model=segmenter)

    def open_picture(name: str) -> Image.Image:
        if name not in files:
            raise ValueError(f"there is no picture {name}; there are {', '.join(files)}")
        return Image.open(files[name]).convert("RGB")

    def detect_objects(picture: str, threshold: float = 0.5) -> dict[str, object]:
        """Find the objects in a picture, with their places in pixels.

        Args:
            picture: the name of its file.
            threshold: how sure the detector has to be, from 0 to 1.
        """
        found = find(open_picture(picture), threshold=threshold)
        counts = Counter(each["label"] for each in found)
        places = [{"label": each["label"], "box": each["box"]} for each in found]
        return {"counts": counts, "objects": places}

    def segment_picture(picture: str) -> dict[str, float]:
        """Tell what share of a picture each kind of surface takes, such as wall, floor or sky.

        Args:
            picture: the name of its file.
        """
        image = open_picture(picture)
        masks = {each["label"]: each["mask"] for each in cut(image)}
        return {
            label: round(mask.histogram()[255] / (image.width * image.height), 3)
            for label, mask in masks.items()
        }

    return [detect_objects, segment_picture]


def main() -> None:
    """Ask about pictures, and print calls, results and the reply as they come."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+", type=Path, help="files, and the question at the end")
    parser.add_argument("--language", default="Qwen/Qwen2.5-1.5B-Instruct")
    parser.add_argument("--detector", default="hustvl/yolos-small")
    parser.add_argument("--segmenter", default="nvidia/segformer-b0-finetuned-ade-512-512")
    arguments = parser.parse_args()
    *pictures, question = arguments.pictures

    language = {
        "_target_": "anymodal.language.LanguageModel.from_pretrained",
        "path_or_name": arguments.language,
    }
    model = AnyModal.compose({"language": language, "modalities": {}})
    tools = experts(pictures, arguments.detector, arguments.segmenter)
    names = ", ".join(path.name for path in pictures)
    for event in model.stream(f"Pictures: {names}. {question}", tools=tools):
        if isinstance(event, TextDelta):
            print(event.text, end="", flush=True)
        elif isinstance(event, ToolCalled):
            print(f"\n  {event.call.name} {event.call.arguments}")
        elif isinstance(event, ToolFinished):
            print(f"  → {event.content[0]}")
        elif isinstance(event, Done):
            print(f"\n({len(event.message.steps)} messages of calls and results)")


if __name__ == "__main__":
    main()
