"""Find media by media of another kind, and name them, with one embedding space for all of them.

    python examples/retrieval.py --out retrieved
    python examples/retrieval.py dog.jpg bell.wav --encoder weights/imagebind --classes dog car bell

Every file of a folder is embedded with the nano model's encoders. A search is then a product of
matrices, as is zero-shot classification, with a class for what its examples of *another* kind
embed to: nobody ever told the encoder of sounds what a bell is called.

With an encoder that reads texts (an ImageBind with its tokenizer, a CLIP, SigLIP or CLAP), a class
is the embedding of its name: `--classes` names files by them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from anymodal.cli.toybox import write_samples
from anymodal.io import embedding_file
from anymodal.tools.embed.files import TEXT
from anymodal.tools.embed.opening import open_encoders
from anymodal.tools.embed.run import embed_files

Embeds = dict[str, np.ndarray]


def embed_folder(folder: Path, encoder: str) -> tuple[Embeds, list[dict[str, dict[str, str]]]]:
    """Embeddings (scenes, E) by kind, and what each scene's medium of a kind tells."""
    scenes = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    media = [folder / medium["file"] for scene in scenes for medium in scene["media"].values()]
    out = folder.with_name(f"{folder.name}.npy")
    embed_files(media, open_encoders(encoder), out, unit=True)
    embeds: dict[str, list[np.ndarray]] = {}
    held = embedding_file.read(out)
    for entry, row in zip(held.entries, held.embeds, strict=True):
        embeds.setdefault(entry.kind, []).append(row)
    told = [{kind: m["tells"] for kind, m in scene["media"].items()} for scene in scenes]
    return {kind: np.stack(rows) for kind, rows in embeds.items()}, told


def retrieve(embeds: Embeds, told: list[dict[str, dict[str, str]]]) -> None:
    """For every pair of kinds: is what was found of the same scene, is it of the same thing?"""
    print(f"\nretrieval among {len(told)} scenes: the nearest medium of another kind")
    print(f"  {'query':<8} {'found':<8} {'same scene':>10} {'in first 5':>10}   attributes right")
    for query, queries in embeds.items():
        for found, candidates in embeds.items():
            if query == found:
                continue
            order = np.argsort(-queries @ candidates.T, axis=1)  # (scenes, scenes), best first
            own = np.arange(len(told))[:, None]
            shares = [f"{np.mean((order[:, :k] == own).any(axis=1)):.0%}" for k in (1, 5)]
            right: dict[str, list[bool]] = {}
            for mine, best in enumerate(order[:, 0]):
                there = told[best][found]
                for name, value in told[mine][query].items():
                    if name in there:
                        right.setdefault(name, []).append(there[name] == value)
            told_of = ", ".join(f"{name} {np.mean(hits):.0%}" for name, hits in right.items())
            print(f"  {query:<8} {found:<8} {shares[0]:>10} {shares[1]:>10}   {told_of}")


def classify(
    embeds: Embeds, told: list[dict[str, dict[str, str]]], given: str, attribute: str
) -> None:
    """Name the media of every kind by classes that are known by another kind's examples alone."""
    half = len(told) // 2  # the first half are examples, the second is named
    labels = np.array([scene[given][attribute] for scene in told])
    classes = sorted(set(labels[:half]))
    centres = np.stack(
        [embeds[given][:half][labels[:half] == name].mean(axis=0) for name in classes]
    )
    print(f"\nzero-shot: {attribute} out of {len(classes)}, each known by its {given} files alone")
    print(f"  {'of':<8} {'accuracy':>10} {'chance':>10}")
    for kind, rows in embeds.items():
        if kind != given and attribute in told[0][kind]:
            named = np.array(classes)[(rows[half:] @ centres.T).argmax(axis=1)]
            print(f"  {kind:<8} {np.mean(named == labels[half:]):>10.0%} {1 / len(classes):>10.0%}")


def name_files(files: list[Path], encoder: str, classes: list[str], prompt: str, out: Path) -> None:
    """How likely each file is of each class, by the embeddings of the classes' names."""
    encoders = open_encoders(encoder, texts=True)
    if (reader := encoders.pop(TEXT, None)) is None:
        raise SystemExit(
            f"{encoder} reads no texts: give --encoder an ImageBind's folder with its tokenizer, "
            "or a CLIP, SigLIP or CLAP"
        )
    for path, reason in embed_files(files, encoders, out).skipped_files:
        print(f"skipped {path}: {reason}")
    held = embedding_file.read(out)
    prompts = torch.stack([reader.prepare(prompt.format(name)) for name in classes])
    with torch.inference_mode():
        logits = reader.logits(torch.from_numpy(np.array(held.embeds)), reader.embed(prompts))
    for entry, row in zip(held.entries, logits.softmax(dim=-1).tolist(), strict=True):
        best = sorted(zip(row, classes, strict=True), reverse=True)
        print(f"{entry.path}: {', '.join(f'{name} {share:.1%}' for share, name in best)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="to name: files, and folders of them")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="what they may be")
    parser.add_argument("--prompt", default="{}", help='around a name, as "a photo of a {}"')
    parser.add_argument("--out", type=Path, default=Path("retrieved"), help="for the media")
    parser.add_argument("--n", type=int, default=96, help="how many scenes")
    parser.add_argument("--encoder", default="nano", help="an ImageBind's folder, or a model")
    args = parser.parse_args()
    if args.files and not args.classes:
        parser.error("name the --classes that the files may be of")
    folder = args.out / "scenes"
    if not args.files and not folder.exists():
        write_samples(folder, args.n, seed=1)
    if args.classes:
        args.out.mkdir(parents=True, exist_ok=True)
        files = args.files or [folder]
        name_files(files, args.encoder, args.classes, args.prompt, args.out / "named.npy")
        return
    embeds, told = embed_folder(folder, args.encoder)
    retrieve(embeds, told)
    classify(embeds, told, given="image", attribute="thing")


if __name__ == "__main__":
    main()
