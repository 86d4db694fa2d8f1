"""Train a projection in a Trainer of your own: Lightning's, with its callbacks and loggers.

    python examples/own_trainer.py --steps 20

`StageModule` is the LightningModule that every stage runs in, and `RunData` its
LightningDataModule: batches whose order depends on the seed alone, so that a run goes on from any
checkpoint of Lightning's as if it had not been stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from anymodal import AnyModal
from anymodal.toybox.dataset import ToyboxDialogues
from anymodal.training.data_module import RunData
from anymodal.training.module import StageModule
from anymodal.training.objectives import Dialogue
from anymodal.training.run import run_of


def main() -> None:
    """Train, twice: the second Trainer goes on from the checkpoint of the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("own-trainer"))
    args = parser.parse_args()
    first, last = args.steps // 2, args.steps
    train(first, args)
    module = train(last, args, args.out / "last.ckpt")
    module.objective.save_pretrained(args.out / "model")
    print(f"{last} steps, of which {last - first} after a stop; written to {args.out / 'model'}")


def train(until: int, args: argparse.Namespace, checkpoint: Path | None = None) -> StageModule:
    """Train nano's projection until a step, from a checkpoint if there is one."""
    run = run_of(
        losses={"text": 1.0},
        steps=args.steps,  # of the whole run, which its schedule spans
        trainable=["projection.*"],
        batch_size=4,
        optimizer={"lr": 1e-4},
        output_dir=str(args.out),
        log_every=1,
    )
    module = StageModule(Dialogue(AnyModal.from_pretrained("nano")), run)
    data = RunData(ToyboxDialogues(32), module)
    saving = ModelCheckpoint(args.out, "last", every_n_train_steps=1, enable_version_counter=False)
    trainer = L.Trainer(
        max_steps=until,
        max_epochs=-1,  # the batches are endless
        accelerator="auto",
        devices=1,
        log_every_n_steps=1,
        enable_progress_bar=False,
        callbacks=[saving],
        logger=CSVLogger(args.out, "logs"),
    )
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    return module


if __name__ == "__main__":
    main()
