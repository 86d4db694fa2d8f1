"""Training in several processes: as one process would, and none waits for another for ever."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from anymodal.config import ConfigError
from anymodal.data.preferences import PreferenceSample
from anymodal.io.checkpoint import load_weights
from anymodal.model import AnyModal
from anymodal.training.batches import Batches
from anymodal.training.run import fit, read_run, train, train_model
from anymodal.training.strategies import full_tensor
from anymodal.types import Message
from tests.support import composed, tiny
from tests.support.cached_runs import Calls
from tests.support.runs import assert_same, read_log, stages
from tests.support.together import by_slurm, by_torchrun, by_torchrun_on_nodes, run_together

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

TOY: dict[str, Any] = {
    "model": {"_target_": "tests.support.composed.Toy", "noise": 0.0},
    "objective": {"_target_": "tests.support.composed.Regression"},
    "data": {"_target_": "tests.support.composed.Numbers", "count": 20},
    "stage": {"trainable": ["layer.*"], "losses": {"square": 1.0}},
    "steps": 6,
    "ema": 0.5,
}


def write(folder: Path, name: str, **changes: Any) -> Path:
    run = {
        "output_dir": str(folder / name),
        "steps": 1,
        "batch_size": 4,
        "save_every": 1000,
        "log_every": 1,
        "trusted_packages": ["tests"],
        "optimizer": {"max_grad_norm": 1e9},
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
        **changes,
    }
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return composed.write_model(tmp_path_factory.mktemp("parts"))


def dealt(first: list[Any], second: list[Any]) -> list[Any]:
    """Samples that a run deals out so that one process gets the first and the other the second."""
    order = Batches(range(len(first + second)), list, len(first + second), 0).indices(0)
    samples = dict(zip(order, first + second, strict=True))
    return [samples[index] for index in range(len(samples))]


def uneven_talks() -> list[list[Message]]:
    """To one process pictures, readings and a picture to make; to the other a few words."""
    rich = [*composed.talks(3), tiny._turn("draw and play a ball")]
    return dealt(rich, [tiny._turn("hello"), *composed.plain_conversations()[:3]])


def uneven_words() -> list[list[Message]]:
    """To one process what is said of pictures and readings, to the other a few words."""
    return dealt(
        composed.replies_to_media(), [tiny._turn("hello"), *composed.plain_conversations()[:3]]
    )


def uneven_pairs() -> list[PreferenceSample]:
    """To one process pairs of pictures and of choices, to the other pairs of texts."""
    pairs = composed.preferences(12)
    media = [pair for number, pair in enumerate(pairs) if number % 3]
    return dealt(media[:4], pairs[::3])


def uneven_scenes() -> list[dict[str, Any]]:
    """To one process two media of a scene, to the other one; some scenes are alike."""
    scenes = composed.scenes(6)
    for scene in scenes[4:]:
        del scene["audio"]
    return dealt([*scenes[:3], scenes[0]], [scenes[1], *scenes[4:], scenes[4]])


def gradients(config: Path, *overrides: str) -> dict[str, torch.Tensor | None]:
    """What the one step of a run leaves behind."""
    _, module = fit(read_run(config, overrides))
    named = module.named_parameters()
    return {n: None if p.grad is None else full_tensor(p.grad) for n, p in named if p.requires_grad}


def compare(
    folder: Path,
    strategy: str,
    launcher: Any = by_torchrun,
    whole: Sequence[str] = ("batch_size=8",),
    atol: float = 1e-6,
    **run: Any,
) -> None:
    """The gradients of two processes and of one with twice the batch, or with `whole` changes."""
    config = write(folder, "run", **run)

    def work(rank: int) -> None:
        found = gradients(config, f"+trainer.strategy={strategy}", f"output_dir={folder / 'two'}")
        torch.save(found, folder / f"gradients-{rank}.pt")

    said = run_together(work, folder, launcher=launcher)
    assert "skipped" not in said[0]
    expected = gradients(config, *whole)
    assert sum(value is not None for value in expected.values()) > 1
    for rank in range(2):
        found = torch.load(folder / f"gradients-{rank}.pt")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if value is None:  # used by nobody; FSDP2 has zeros for it
                assert found[name] is None or not found[name].any(), name
            else:
                close = {"rtol": 1e-3, "atol": atol}
                torch.testing.assert_close(
                    found[name], value, **close, msg=lambda text, name=name: f"{name}: {text}"
                )


# ---- As one process ----------------------------------------------------------------------------

SLOW = pytest.mark.extended


@pytest.mark.parametrize(
    ("strategy", "losses"),
    [
        ("ddp", ("align",)),
        ("fsdp2", ("text", "align")),
        pytest.param("ddp", ("text", "align"), marks=SLOW),
        pytest.param("fsdp2", ("align",), marks=SLOW),
    ],
)
def test_two_processes_have_the_gradients_of_one_at_twice_the_batch(
    parts: Path, tmp_path: Path, strategy: str, losses: tuple[str, ...]
) -> None:
    """Though one of them has no medium to read or to make."""
    stage = {
        "trainable": ["projection.*", "heads.*", "language.model.*", "language.rows"],
        "losses": dict.fromkeys(losses, 1.0),
    }
    model = {"_target_": "anymodal.AnyModal.compose", "config": str(parts)}
    data = {"_target_": "tests.distributed.test_processes.uneven_talks"}
    compare(tmp_path, strategy, by_torchrun, model=model, data=data, stage=stage)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_prefer_as_one(parts: Path, tmp_path: Path, strategy: str) -> None:
    """Whose reference is another model than the one that trains: one that has made a step."""
    AnyModal.compose(parts).save_pretrained(tmp_path / "saved")
    prefer = stages(parts, tmp_path)["prefer"]
    prefer["model"]["lora"] = {"r": 2, "dropout": 0.0}
    prefer["stage"]["losses"] = {"dpo": {"beta": 1.0}, "text": 0.2}
    data = {"_target_": "tests.distributed.test_processes.uneven_pairs"}
    more = {"steps": 2, "optimizer": {"lr": 1e-2, "max_grad_norm": 1e9}}
    # The first step's rounding is in the second one's gradients.
    compare(tmp_path, strategy, atol=5e-5, **{**prefer, **more, "data": data})


@pytest.mark.parametrize(
    ("strategy", "asks"),
    [
        ("ddp", True),
        ("fsdp2", False),
        pytest.param("ddp", False, marks=SLOW),
        pytest.param("fsdp2", True, marks=SLOW),
    ],
)
def test_a_process_without_media_keeps_step_where_only_the_projection_trains(
    tmp_path: Path, strategy: str, asks: bool
) -> None:
    """Though it has nothing to learn by, and the blocks of the language model are frozen."""
    written = composed.write_asking_model if asks else composed.write_model
    stage = {"trainable": ["projection.*"], "losses": {"text": 1.0}}
    model = {"_target_": "anymodal.AnyModal.compose", "config": str(written(tmp_path / "parts"))}
    data = {"_target_": "tests.distributed.test_processes.uneven_talks"}
    compare(tmp_path, strategy, by_torchrun, model=model, data=data, stage=stage)


FUSIONS: dict[str, dict[str, Any]] = {
    "GatedCrossAttention": {"every": 1, "num_latents": 3, "depth": 1, "heads": 2, "head_width": 4},
    "CrossLayers": {"every": 1},
    "LightCrossAttention": {"heads": 2, "width": 8},
    "ModalityExperts": {},
    "SparseUpcycling": {"experts": 3, "every": 1, "capacity": None},
    "MediaAdapterPrefix": {"length": 3, "width": 8, "depth": 1, "heads": 2},
}
QUICK_FUSIONS = {
    ("GatedCrossAttention", "ddp"),
    ("CrossLayers", "fsdp2"),
    ("SparseUpcycling", "fsdp2"),
    ("MediaAdapterPrefix", "fsdp2"),
}


def open_gates(config: str, open_at: float = 0.5) -> AnyModal:
    """A model whose fusion's gates and output layers are open, so that all of it learns."""
    model = AnyModal.compose(config)
    assert model.fusion is not None
    with torch.no_grad():
        for weight in model.fusion.parameters():
            if not weight.any():
                weight.fill_(open_at)
    return model


@pytest.mark.parametrize(
    ("fusion", "strategy"),
    [
        pytest.param(fusion, strategy, marks=[SLOW] * ((fusion, strategy) not in QUICK_FUSIONS))
        for fusion in FUSIONS
        for strategy in ("ddp", "fsdp2")
    ],
)
def test_a_fusion_learns_alone_in_two_processes_as_in_one(
    parts: Path, tmp_path: Path, strategy: str, fusion: str
) -> None:
    """Though one of them has no medium, and the blocks around which it stands are frozen."""
    config = composed.model_config(parts.parent)
    config["parts"] = {name: config["parts"][name] for name in ("binder", "words")}
    config["modalities"] = {
        name: {"encoder": config["modalities"][name]["encoder"]} for name in ("image", "imu")
    }
    config["fusion"] = {"_target_": f"anymodal.fusion.{fusion}", **FUSIONS[fusion]}
    if fusion in ("GatedCrossAttention", "CrossLayers", "MediaAdapterPrefix"):
        del config["projection"]  # media reach the model by it alone
    path = tmp_path / "fused.yaml"
    path.write_text(yaml.safe_dump(config))
    stage = {"trainable": ["fusion.*"], "losses": {"text": 1.0}}
    model = {"_target_": "tests.distributed.test_processes.open_gates", "config": str(path)}
    data = {"_target_": "tests.distributed.test_processes.uneven_words"}
    compare(tmp_path, strategy, model=model, data=data, stage=stage)


ACCUMULATING, AT_ONCE = ("batch_size=8",), ("batch_size=16", "accumulate_grad_batches=1")


@pytest.mark.parametrize(
    ("strategy", "whole"),
    [
        ("ddp", AT_ONCE),
        ("fsdp2", ACCUMULATING),
        pytest.param("ddp", ACCUMULATING, marks=SLOW),
        pytest.param("fsdp2", AT_ONCE, marks=SLOW),
    ],
)
def test_two_processes_on_one_cache_accumulate_the_gradients_of_one(
    parts: Path,
    tmp_path: Path,
    strategy: str,
    whole: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls(monkeypatch)
    stage = {
        "trainable": ["projection.*", "heads.*", "language.model.*", "language.rows"],
        "losses": {"text": 1.0, "align": 1.0},
    }
    model = {"_target_": "anymodal.AnyModal.compose", "config": str(parts)}
    data = {"_target_": "tests.distributed.test_processes.uneven_talks"}
    more = {"accumulate_grad_batches": 2, "feature_cache": {"dir": str(tmp_path / "cache")}}
    run = {"model": model, "data": data, "stage": stage, **more}
    compare(tmp_path, strategy, by_torchrun, whole, **run)
    assert calls.take_counts() == (0, 0, 0), "the one process found what the two had kept"


def test_two_processes_bind_to_each_other_s_anchors(tmp_path: Path) -> None:
    stage = stages(tmp_path / "none.yaml", tmp_path)["bind"]
    stage["objective"]["modalities"] = ["image", "audio"]  # of which none has random depth
    stage["stage"] = {"trainable": ["*vision*", "*audio*"], "losses": {"image": 1, "audio": 1}}
    stage["data"] = {"_target_": "tests.distributed.test_processes.uneven_scenes"}
    compare(tmp_path, "ddp", by_torchrun_on_nodes, **stage)


@pytest.mark.parametrize("second", ["ddp", "fsdp2"])
def test_a_run_goes_on_in_another_layout(tmp_path: Path, second: str) -> None:
    """Two whole copies, then two again or two halves, then one process: as one all along."""
    muon = {"muon": {"params": ["layer.*"] if second == "ddp" else []}}
    toy = {**TOY, "optimizer": {"max_grad_norm": 1e9, **muon}}
    straight = write(tmp_path, "straight", **toy)
    train(straight, ["batch_size=8"])
    moved = write(tmp_path, "moved", **toy)

    def stopping(strategy: str, reads: int) -> Any:
        def work(rank: int) -> None:
            stop = [f"+data.stop=[{reads},{int(signal.SIGTERM)}]"] if rank == 1 else []
            assert train(moved, [f"+trainer.strategy={strategy}", *stop]) is None

        return work

    path = tmp_path / "moved" / "checkpoints" / "last.ckpt"
    steps = []
    for strategy, launcher in (("ddp", by_slurm), (second, by_torchrun)):
        said = run_together(stopping(strategy, 5), tmp_path / strategy, launcher=launcher)
        assert "run it again to go on" in said[0]
        steps.append(torch.load(path, weights_only=True)["global_step"])
    assert 0 < steps[0] < steps[1] < 6
    assert train(moved, ["batch_size=8"]) is not None
    first = torch.load(tmp_path / "straight" / "checkpoints" / "last.ckpt", weights_only=True)
    last = torch.load(path, weights_only=True)
    assert last["samples"] == first["samples"] == 48
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks"):
        assert_same(last[key], first[key], rtol=1e-4, atol=1e-6)


@pytest.mark.extended  # slow
def test_adapters_go_on_in_another_layout_and_back(parts: Path, tmp_path: Path) -> None:
    """A step in halves, one in whole copies, one in halves again: as three steps of one process."""
    AnyModal.compose(parts).save_pretrained(tmp_path / "saved")
    config = write(
        tmp_path,
        "moved",
        model={
            "_target_": "anymodal.AnyModal.from_pretrained",
            "path": str(tmp_path / "saved"),
            "lora": {"r": 2, "dropout": 0.0},
        },
        data={"_target_": "tests.support.composed.talks"},
        stage={
            # No sound is in these: in pieces its entries would get gradients of zeros, not none.
            "trainable": ["projection.*image*", "projection.*imu*", "language.rows", "*lora_*"],
            "losses": {"text": 1.0},
        },
        optimizer={"max_grad_norm": 1e9, "schedule": "constant"},
        ema=0.5,
    )
    fit(read_run(config, ["batch_size=8", "steps=3", f"output_dir={tmp_path / 'straight'}"]))
    for step, strategy in enumerate(("fsdp2", "ddp", "fsdp2"), 1):
        run = read_run(config, [f"+trainer.strategy={strategy}", f"steps={step}"])
        run_together(lambda rank, run=run: fit(run), tmp_path / f"said-{step}")
    paths = [tmp_path / name / "checkpoints" / "last.ckpt" for name in ("straight", "moved")]
    first, second = (torch.load(path, weights_only=True) for path in paths)
    assert second["samples"] == first["samples"] == 24
    assert sum("lora_" in name for name in first["state_dict"]) > 8
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks"):
        assert_same(second[key], first[key], rtol=1e-3, atol=2e-6)


def test_two_processes_write_a_finished_model_once(tmp_path: Path) -> None:
    straight = train(write(tmp_path, "straight", **TOY), ["batch_size=8"])
    halves = write(tmp_path, "halves", **TOY)
    run_together(lambda rank: train(halves, ["+trainer.strategy=fsdp2"]), tmp_path / "two")
    assert straight is not None
    made = [load_weights(f / "toy.safetensors") for f in (straight, tmp_path / "halves" / "model")]
    torch.testing.assert_close(*made, rtol=1e-4, atol=1e-6)


# ---- What goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_a_bad_loss_of_one_process_is_skipped_by_all(tmp_path: Path, strategy: str) -> None:
    second = Batches(range(20), list, 4, 0).indices(1)
    data = {**TOY["data"], "bad": second[:1]}
    straight = write(tmp_path, "straight", **{**TOY, "data": data, "steps": 2})
    train(straight, ["batch_size=8"])
    config = write(tmp_path, "two", **{**TOY, "data": data, "steps": 2})
    settings = [f"+trainer.strategy={strategy}"]
    said = run_together(lambda rank: train(config, settings), tmp_path / "said")
    assert f"batch 1 (samples {', '.join(map(str, second))}): loss" in said[0]
    files = [tmp_path / name / "checkpoints" / "last.ckpt" for name in ("straight", "two")]
    first, other = (torch.load(file, weights_only=True) for file in files)
    assert first["skipped"] == other["skipped"] == [0, 1]
    for key in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(other[key], first[key], rtol=1e-4, atol=1e-6)


def test_a_batch_that_cant_go_on_in_a_layout_is_told(tmp_path: Path) -> None:
    config = write(tmp_path, "run", **{**TOY, "steps": 1, "batch_size": 5})
    train(config)
    os.rename(tmp_path / "run" / "model", tmp_path / "gone")
    with pytest.raises(ConfigError, match="5 samples, which are no whole number of batches of 4"):
        train(config, ["steps=3", "batch_size=4"])


def test_muon_in_pieces_is_refused(tmp_path: Path) -> None:
    changes = {"optimizer": {"muon": {"params": ["layer.*"]}}}
    config = write(tmp_path, "run", **{**TOY, **changes})

    def work(rank: int) -> None:
        with pytest.raises(ConfigError, match="takes whole matrices.*choose strategy 'ddp'"):
            train(config, ["+trainer.strategy=fsdp2"])

    run_together(work, tmp_path / "two")


def test_a_model_in_place_isn_t_left_in_pieces() -> None:
    with pytest.raises(ConfigError, match="train_model trains in place"):
        train_model(
            composed.Regression(composed.Toy()),
            [],
            losses={"square": 1},
            steps=1,
            trainer={"strategy": "fsdp2"},
        )


# ---- Ray ---------------------------------------------------------------------------------------


def by_ray(rank: int, count: int, port: int) -> dict[str, str]:
    """What Ray Train tells a worker (`ray.train.torch`), who has the process group made already."""
    return {**by_torchrun(rank, count, port), "NODE_RANK": "0"}


def test_a_worker_of_ray_s_trains_its_share(tmp_path: Path) -> None:
    """In a thread, as there, and from another folder."""
    from anymodal.training.ray_train import run_worker

    config = write(tmp_path, "run", **{**TOY, "output_dir": "run"})
    overrides = ["+trainer.strategy=ddp"]
    settings = {"path": str(config), "overrides": overrides, "folder": str(tmp_path)}

    def worker(rank: int) -> None:
        torch.distributed.init_process_group("gloo")
        os.chdir("/")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(run_worker, settings).result()

    run_together(worker, tmp_path / "two", launcher=by_ray)
    straight = train(write(tmp_path, "straight", **TOY), ["batch_size=8"])
    assert straight is not None
    made = [load_weights(f / "toy.safetensors") for f in (straight, tmp_path / "run" / "model")]
    torch.testing.assert_close(*made, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_its_name_is_told(tmp_path: Path) -> None:
    from anymodal.training.ray_train import train_on_ray

    with pytest.raises(ConfigError, match=r"needs Ray: pip install 'anymodal\[ray\]'"):
        train_on_ray(write(tmp_path, "run", **TOY), workers=2)


@pytest.mark.extended
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray isn't installed")
def test_ray_itself_trains(tmp_path: Path) -> None:
    from anymodal.training.ray_train import train_on_ray

    config = write(tmp_path, "run", **TOY)
    made = train_on_ray(config, ["+trainer.strategy=ddp"], workers=2)
    assert made == tmp_path / "run" / "model"
    straight = train(write(tmp_path, "straight", **TOY), ["batch_size=8"])
    assert straight is not None
    found = [load_weights(folder / "toy.safetensors") for folder in (straight, made)]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def validate_together(path: Path, rank: int) -> None:
    train(path)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_a_model_is_validated_in_several_processes(
    parts: Path, tmp_path: Path, strategy: str
) -> None:
    stage = stages(parts, tmp_path)["perceive"]
    talk = {"_target_": "tests.support.composed.talks", "count": 6}
    validation = {"data": talk, "every": 1, "samples": 0}
    run = {**stage, "data": talk, "validation": validation, "steps": 2, "packed": False}
    trainer = {"accelerator": "cpu", "enable_progress_bar": False, "strategy": strategy}
    write(tmp_path, "together", **{**run, "batch_size": 1, "trainer": trainer})
    write(tmp_path, "alone", **{**run, "batch_size": 2})
    fit(read_run(tmp_path / "alone.yaml"))
    run_together(partial(validate_together, tmp_path / "together.yaml"), tmp_path / "said")
    alone, together = (read_log(tmp_path / n, "validation/loss") for n in ("alone", "together"))
    assert len(alone) == 3 and together == pytest.approx(alone, rel=1e-3)


def test_validation_is_the_same_in_several_processes(tmp_path: Path) -> None:
    """5 batches on 2 processes, one of which has no third of its own."""
    held_out = {"_target_": "tests.support.composed.Numbers", "count": 18}
    validation = {"data": held_out, "every": 3}
    for name, size in (("alone", 8), ("together", 4)):
        write(tmp_path, name, **{**TOY, "batch_size": size, "validation": validation})
    train(tmp_path / "alone.yaml")
    run_together(partial(validate_together, tmp_path / "together.yaml"), tmp_path / "said")
    alone, together = (read_log(tmp_path / n, "validation/loss") for n in ("alone", "together"))
    assert len(alone) == 3 and together == pytest.approx(alone, rel=1e-5)
    assert (tmp_path / "together" / "report.html").is_file()
    best = torch.load(tmp_path / "together" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["value"] == pytest.approx(min(together), rel=1e-5)
