"""Start the projection at the words of the labels, so that little is left for alignment to learn.

    python examples/activity/start.py

By least squares from the encoder's features to the language model's own embeddings of each label's
words: the soft tokens of a window of walking then begin as those of "walking", which a language
model repeats by itself. `model.yaml` starts from what this writes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from hapt import LABELS, windows
from movement import MovementEncoder
from torch import Tensor

from anymodal.config import load_config
from anymodal.io.checkpoint import WEIGHTS, save_weights, write_manifest
from anymodal.language import LanguageModel
from anymodal.training.objectives import Classifier

HERE = Path(__file__).parent


def targets(language: LanguageModel, num_tokens: int) -> Tensor:
    """Embeddings (C, K * D) of the labels' words, filled up with line breaks."""
    (filler,) = language.tokenizer.encode("\n", add_special_tokens=False)
    rows = [language.tokenizer.encode(label, add_special_tokens=False) for label in LABELS]
    ids = [(row + [filler] * num_tokens)[:num_tokens] for row in rows]
    with torch.no_grad():
        return language.embed(torch.tensor(ids)).flatten(1).float()


def solve(features: Tensor, values: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weight (M, D) and bias (M,) of the ridge regression from features (N, D) to values (N, M)."""
    mean, middle = features.mean(0), values.mean(0)
    x, y = (features - mean).double(), (values - middle).double()
    gram = x.T @ x / len(x) + ridge * torch.eye(x.shape[1], dtype=x.dtype)
    weight = torch.linalg.solve(gram, x.T @ y / len(x)).T.float()  # (M, D)
    return weight, middle - weight @ mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="runs/activity/encoder/model")
    parser.add_argument("--data", nargs="+", default=["data/hapt/train.jsonl"])
    parser.add_argument("--config", type=Path, default=HERE / "model.yaml")
    parser.add_argument("--ridge", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, default=Path("runs/activity/start"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = load_config(args.config)
    language = LanguageModel.from_pretrained(
        **{key: value for key, value in config["language"].items() if key != "_target_"}
    )
    encoder = Classifier.from_pretrained(args.encoder, MovementEncoder()).encoder
    media, labels = windows(args.data, LABELS, hop=0.64)
    with torch.inference_mode():
        prepared = torch.stack([encoder.prepare(each) for each in media]).split(256)
        features = torch.cat([encoder.embed(batch) for batch in prepared])
    # Each activity weighs alike, however long it was recorded.
    counts = torch.bincount(torch.from_numpy(labels), minlength=len(LABELS))
    places = torch.multinomial(
        1 / counts[labels].double(), 200 * len(LABELS), True, generator=torch.manual_seed(0)
    )
    values = targets(language, config["projection"]["num_tokens"])[labels[places]]
    weight, bias = solve(features[places].clone(), values, args.ridge)
    args.out.mkdir(parents=True, exist_ok=True)
    names = {"projection.maps.imu.weight": weight, "projection.maps.imu.bias": bias}
    save_weights(names, args.out / WEIGHTS)
    write_manifest(args.out, {})
    print(f"{args.out}: of {len(media)} windows")


if __name__ == "__main__":
    main()
