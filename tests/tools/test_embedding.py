"""Files become embeddings: in order, in batches, once, whatever lies among them."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from anymodal import cli, media
from anymodal.encoders import Encoder, ImageBind
from anymodal.io import embedding_file
from anymodal.io.checkpoint import CheckpointError
from anymodal.media import IMU, Audio, Image
from anymodal.tools.embed import embedder, run
from anymodal.tools.embed.files import read_file
from anymodal.tools.embed.opening import open_encoders
from tests.support.composed import small_disk
from tests.support.imagebind_models import TRUNKS
from tests.support.paths import ROOT
from tests.support.random_media import noise, pixels

SUFFIXES = [
    ".npy",
    pytest.param(
        ".parquet",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed"
        ),
    ),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    ImageBind(TRUNKS, embedding=24).save_pretrained(folder)
    return folder


@pytest.fixture
def encoders(weights: Path) -> dict[str, Encoder]:
    return open_encoders(str(weights))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A folder of everything; the paths in it that can be embedded, in order."""
    monkeypatch.chdir(tmp_path)
    for name in ("files", "files/b", "files/.hidden"):
        Path(name).mkdir()
    for index in range(5):
        Image(pixels(20, 30, 3)).save(f"files/{index}.png")
    Image(pixels(9, 9, 3)).save("files/.hidden/9.png")
    Audio(noise(1, 9000), rate=16000).save("files/b/bell.wav")
    IMU(noise(6, 50), rate=50.0).save("files/b/move.csv")
    Path("files/2.txt").write_text("some words\n")
    Path("files/broken.png").write_bytes(Path("files/0.png").read_bytes()[:40])
    Path("files/empty.wav").touch()
    Path("files/gone.png").symlink_to("nowhere.png")
    return [*(f"files/{i}.png" for i in range(5)), "files/b/bell.wav", "files/b/move.csv"]


def embed(*argv: Any) -> int:
    return cli.main([str(item) for item in ("embed", *argv)])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_tree_becomes_one_file(
    suffix: str,
    tree: list[str],
    weights: Path,
    encoders: dict[str, Encoder],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Path(f"all{suffix}")
    assert embed("files", "files/0.png", "--encoder", weights, "--out", out, "--batch", 2) == 0
    told = capsys.readouterr()
    assert f"all{suffix}: 7 files, 7 of them new, 4 skipped" in told.out
    for name in ("2.txt", "broken.png", "empty.wav", "gone.png"):
        assert f"skipped files/{name}: " in told.err
    held = embedding_file.read(out)
    assert [entry.path for entry in held.entries] == tree
    for entry, row in zip(held.entries, held.embeds, strict=True):
        medium = media.load(entry.path)
        assert medium.kind == entry.kind
        encoder = encoders[entry.kind]
        expected = encoder.embed(encoder.prepare(medium)[None])[0]
        torch.testing.assert_close(torch.from_numpy(row.copy()), expected, rtol=1e-4, atol=1e-5)
    # No shard, temporary or other file is left beside them.
    beside = {"all.npy.json"} if suffix == ".npy" else set()
    assert {path.name for path in Path().iterdir()} == {"files", out.name, *beside}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_finished_run_takes_up_what_is_new(
    suffix: str,
    tree: list[str],
    encoders: dict[str, Encoder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = Path(f"all{suffix}")
    monkeypatch.setattr(run, "CHUNK", 3)
    run.embed_files(["files"], encoders, out)
    before = embedding_file.read(out)
    rows = dict(zip((entry.path for entry in before.entries), before.embeds.copy(), strict=True))
    assert run.embed_files(["files"], encoders, out).new == 0
    Path(tree[1]).unlink()
    Image(pixels(11, 12, 3)).save(tree[2])
    Image(pixels(11, 12, 3)).save("files/5.png")
    assert run.embed_files(["files"], encoders, out)[:2] == (7, 2)
    after = embedding_file.read(out)
    paths = [entry.path for entry in after.entries]
    assert paths == [tree[0], *tree[2:5], "files/5.png", *tree[5:]]
    for path, row in zip(paths, after.embeds, strict=True):
        same = path in rows and np.array_equal(row, rows[path])
        assert same == (path not in (tree[2], "files/5.png"))


def test_a_run_that_was_stopped_goes_on(
    tree: list[str], encoders: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = Path("straight.npy")
    run.embed_files(["files"], encoders, straight, batch=2)
    whole, seen = media.load, list[str]()

    def load(path: Path, **hints: Any) -> Any:
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(str(path))
        return whole(path, **hints)

    out = Path("all.npy")
    monkeypatch.setattr(media, "load", load)
    with pytest.raises(KeyboardInterrupt):
        run.embed_files(["files"], encoders, out, batch=2, workers=0)
    assert not out.exists() and list(Path("all.npy.cache").rglob("*.data"))
    monkeypatch.setattr(media, "load", lambda path, **h: seen.append(str(path)) or whole(path))
    assert run.embed_files(["files"], encoders, out, batch=2, workers=0).new < 7
    assert not {"files/0.png", "files/1.png"} & set(seen[4:])
    np.testing.assert_allclose(np.load(out), np.load(straight), rtol=1e-5, atol=1e-6)
    assert not Path("all.npy.cache").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from anymodal import media
from anymodal.tools.embed import run
from anymodal.tools.embed.opening import open_encoders
whole, seen = media.load, []
def load(path, **hints):
    if len(seen) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    seen.append(path)
    return whole(path, **hints)
media.load = load
run.embed_files(["files"], open_encoders(sys.argv[1]), Path("all.npy"), batch=2, workers=0)
"""


@pytest.mark.parametrize("bytes_of_a_batch", [256 << 20, 1])
def test_workers_give_the_same_bits_as_one_process_and_a_bare_loop(
    tree: list[str],
    encoders: dict[str, Encoder],
    bytes_of_a_batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of a kind, in the order of the files, whoever prepares them."""
    monkeypatch.setattr(embedder, "MAX_BATCH_BYTES", bytes_of_a_batch)
    reports = [
        run.embed_files(["files"], encoders, Path(f"{workers}.npy"), batch=2, workers=workers)
        for workers in (0, 1, 3)
    ]
    assert [sorted(r.skipped_files) for r in reports] == [sorted(reports[0].skipped_files)] * 3
    alone, *others = (np.load(f"{workers}.npy") for workers in (0, 1, 3))
    assert all(np.array_equal(alone, other) for other in others)
    rows: list[Any] = []
    size = 2 if bytes_of_a_batch > 1 else 1
    with torch.inference_mode():
        for start in range(0, 5, size):
            items = [Image.load(path) for path in tree[start : min(start + size, 5)]]
            batch = torch.stack([encoders["image"].prepare(item) for item in items])
            rows += encoders["image"].embed(batch)
    assert np.array_equal(alone[:5], np.stack(rows))


def test_a_worker_that_dies_ends_the_run_and_not_what_was_kept(
    tree: list[str], encoders: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = media.load

    def load(path: Path, **hints: Any) -> Any:
        if path.name == "4.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(path, **hints)

    with monkeypatch.context() as patch:
        patch.setattr(media, "load", load)
        with pytest.raises(ChildProcessError, match="worker process was ended .* take fewer"):
            run.embed_files(["files"], encoders, Path("all.npy"), batch=1, workers=1)
    assert run.embed_files(["files"], encoders, Path("all.npy"), batch=1, workers=1).new < 7


def test_a_run_that_was_killed_goes_on(
    tree: list[str], weights: Path, encoders: dict[str, Encoder]
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, str(weights)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    report = run.embed_files(["files"], encoders, Path("all.npy"), batch=2)
    assert (report.files, report.new) == (7, 5)  # the first two were kept
    assert [entry.path for entry in embedding_file.read(Path("all.npy")).entries] == tree


def test_what_a_kill_left_half_written_is_computed_again(
    tree: list[str], encoders: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = Path("all.npy"), embedding_file.write
    monkeypatch.setattr(embedding_file, "write", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.embed_files(["files"], encoders, out, batch=1)
    monkeypatch.setattr(embedding_file, "write", whole)
    data = next(iter(Path("all.npy.cache").rglob("*.data")))
    os.truncate(data, data.stat().st_size - 3)
    report = run.embed_files(["files"], encoders, out, batch=1)
    assert (report.files, report.new) == (7, 1)
    assert not Path("all.npy.cache").exists()


def test_a_file_that_changed_with_its_size_and_time_kept_is_embedded_again(
    tree: list[str], encoders: dict[str, Encoder]
) -> None:
    out, file = Path("all.npy"), Path("files/a.bmp")
    PILImage.fromarray(np.zeros((20, 30, 3), np.uint8)).save(file)
    run.embed_files(["files"], encoders, out)
    before, status = np.load(out), file.stat()
    PILImage.fromarray(np.full((20, 30, 3), 200, np.uint8)).save(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    assert run.embed_files(["files"], encoders, out).new == 1
    row = [entry.path for entry in embedding_file.read(out).entries].index(str(file))
    assert not np.array_equal(np.load(out)[row], before[row])


def test_a_full_disk_is_told_and_what_was_kept_stays(
    tree: list[str], encoders: dict[str, Encoder]
) -> None:
    with small_disk(4 * 24 * 3), pytest.warns(UserWarning, match="can't be written any more"):
        with pytest.raises(OSError, match="File too large"):
            run.embed_files(tree[:5], encoders, Path("all.npy"), batch=1)
    report = run.embed_files(tree[:5], encoders, Path("all.npy"), batch=1)
    assert (report.files, report.new) == (5, 2)


def test_other_weights_settings_or_libraries_are_not_mixed_in(
    tree: list[str], encoders: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path("all.npy")
    run.embed_files(["files"], encoders, out)
    with pytest.raises(ValueError, match="made with other encoders"):
        run.embed_files(["files"], encoders, out, unit=True)
    with pytest.raises(ValueError, match="made with other encoders"):
        run.embed_files(["files"], encoders, out, kind="image")
    with monkeypatch.context() as patch:
        patch.setattr("anymodal.io.feature_cache.library_versions", lambda: {"pillow": "0"})
        with pytest.raises(ValueError, match="other encoders, settings or versions of libraries"):
            run.embed_files(["files"], encoders, out)
    assert run.embed_files(["files"], encoders, out).new == 0
    with torch.no_grad():
        next(encoders["image"].parameters()).reshape(-1)[1] += 0.1
    with pytest.raises(ValueError, match="made with other encoders"):
        run.embed_files(["files"], encoders, out)
    assert run.embed_files(["files"], encoders, Path("other.npy")).new == 7


def test_a_table_over_a_limit_is_no_text(tmp_path: Path, encoders: dict[str, Encoder]) -> None:
    table = tmp_path / "move.txt"
    IMU(noise(6, 50), rate=50.0).save(tmp_path / "move.csv").rename(table)
    assert read_file(table, None, None)[0] == "imu"
    with pytest.raises(media.LimitError):
        read_file(table, None, media.Limits(max_bytes=10))


def test_a_kind_can_be_asked_for_and_lengths_made_one(
    tree: list[str], encoders: dict[str, Encoder]
) -> None:
    report = run.embed_files(tree, encoders, Path("heat.npy"), kind="thermal", unit=True)
    assert (report.files, len(report.skipped_files)) == (5, 2)
    held = embedding_file.read(Path("heat.npy"))
    assert {entry.kind for entry in held.entries} == {"thermal"}
    np.testing.assert_allclose(np.linalg.norm(held.embeds, axis=1), 1, rtol=1e-5)


def test_one_file_holds_one_width(tree: list[str], encoders: dict[str, Encoder]) -> None:
    other = ImageBind({"audio": TRUNKS["audio"]}, embedding=25).eval()
    mixed = {**encoders, "audio": type(encoders["image"])(other, "audio")}
    with pytest.raises(ValueError, match="25 wide and those before 24"):
        run.embed_files(["files"], mixed, Path("all.npy"))


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["files", "--out", "x.txt"], "use one of .npy, .parquet"),
        (["nowhere", "--out", "x.npy"], "nowhere"),
        (["files", "--out", "x.npy", "--kind", "smell"], "no encoder for 'smell'"),
        (["files/2.txt", "--out", "x.npy"], "nothing to write"),
    ],
)
def test_what_cannot_be_done_is_said(
    argv: list[str],
    says: str,
    tree: list[str],
    weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert embed(*argv, "--encoder", weights) == 2
    assert says in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["files"]


def test_parquet_without_pyarrow_says_what_to_install(
    tree: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert embed("files", "--out", "x.parquet") == 2
    assert 'pip install "anymodal[parquet]"' in capsys.readouterr().err


def test_a_models_encoders_come_without_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    from anymodal import config

    wanted = list[str]()
    whole = config.build_parts
    monkeypatch.setattr(
        config, "build_parts", lambda parts, *a: wanted.extend(parts) or whole(parts, *a)
    )
    assert set(open_encoders("nano")) == {"image", "video", "audio", "imu"}
    assert wanted == ["imagebind"]


def test_encoders_that_a_stage_trained_are_those_that_embed(tmp_path: Path, weights: Path) -> None:
    from anymodal.io.checkpoint import save_weights

    config = {
        "language": {"_target_": "anymodal.language.LanguageModel.from_pretrained",
                     "path_or_name": "x"},
        "projection": {"_target_": "anymodal.projection.LinearProjection", "num_tokens": 2},
        "modalities": {"touch": {"encoder": {
            "_target_": "anymodal.encoders.ImageBindEncoder",
            "model": {"_target_": "anymodal.encoders.ImageBind.from_pretrained",
                      "folder": str(weights)},
            "modality": "imu"}}},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    key = "model.modality_heads.imu.0.bias"
    save_weights({f"encoders.touch.{key}": torch.full((16,), 7.0)}, tmp_path / "model.safetensors")
    encoder = open_encoders(str(tmp_path))["imu"]
    assert encoder.state_dict()[key].unique().tolist() == [7.0]
    save_weights({"encoders.taste.x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"'taste\.x'"):
        open_encoders(str(tmp_path))
