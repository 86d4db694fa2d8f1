"""Runs on a feature cache: the same losses, filled ahead or not, and what ends a filling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anymodal import cli
from anymodal.config import ConfigError
from anymodal.io.tensor_store import TensorStore
from anymodal.training.precompute import fill_feature_cache
from anymodal.training.run import fit, read_run
from tests.support.cached_runs import SIZE, Calls, leave_free, losses_of, noting, write
from tests.support.composed import small_disk, write_model


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_memory_a_cold_and_a_warm_folder_and_one_filled_ahead_train_alike(
    parts: Path, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {"precision": precision, "data": {"_target_": "tests.support.composed.talks"}}
    calls = Calls(monkeypatch)
    held = losses_of(write(parts, tmp_path, "memory", **same))
    assert len(held) == 6 and len(set(held)) == 6
    in_memory = calls.take_counts()
    own = 6  # captions by which the decoders measure their conditioning's scale
    assert in_memory == (2 * 13, 13 + own, 0)
    cache = {**same, "feature_cache": {"dir": str(tmp_path / "cache")}}
    assert losses_of(write(parts, tmp_path, "cold", **cache)) == held
    assert calls.take_counts() == in_memory
    assert losses_of(write(parts, tmp_path, "warm", **cache)) == held
    assert calls.take_counts() == (0, 0, 0)
    ahead = {**same, "feature_cache": {"dir": str(tmp_path / "ahead")}}
    config = write(parts, tmp_path, "ahead", **ahead)
    assert fill_feature_cache(config) == 15  # of 13 samples; the run draws 30
    assert calls.take_counts() == in_memory
    readers: list[str] = []
    monkeypatch.setattr(TensorStore, "find", noting(readers))
    assert losses_of(config) == held
    assert calls.take_counts() == (0, 0, 0)
    # Of the first two batches: the second is drawn before the first has told the parts.
    assert sum(name.startswith("prefetch") for name in readers) >= 8
    assert sum(not name.startswith("prefetch") for name in readers) <= 8


def test_an_autoencoder_s_latents_are_kept_too(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = "anymodal.decoders.DiffusionDecoder.from_pretrained"
    decoder = {"_target_": load, "folder": str(parts.parent / "image")}
    changes = {
        "model": decoder,
        "objective": {"_target_": "anymodal.training.objectives.CaptionedDiffusion"},
        "data": {"_target_": "tests.support.composed.captioned_media"},
        "stage": {
            "trainable": ["parts.transformer.*", "parts.text_encoder.*"],
            "losses": {"denoise": 1},
        },
        "batch_size": 3,
        "steps": 3,
    }
    calls = Calls(monkeypatch)
    held = losses_of(write(parts, tmp_path, "memory", **changes))
    assert calls.take_counts()[2] == 4
    config = write(
        parts, tmp_path, "disk", **changes, feature_cache={"dir": str(tmp_path / "cache")}
    )
    fill_feature_cache(config)
    assert calls.take_counts()[2] == 4
    assert losses_of(config) == held
    assert calls.take_counts()[2] == 0


def test_a_limit_that_is_reached_ends_the_command(parts: Path, tmp_path: Path) -> None:
    limited = {"dir": str(tmp_path / "cache"), "max_gb": 2**-20}
    with pytest.warns(UserWarning, match="is reached"):
        with pytest.raises(OSError, match="max_gb=9.54e-07 is reached.*make room"):
            fill_feature_cache(write(parts, tmp_path, "run", feature_cache=limited))


def test_a_folder_that_cant_be_written_is_told(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = write(parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "file" / "cache")})
    with pytest.raises(
        ValueError, match="no feature cache can be kept in .*Not a directory.; name a folder"
    ):
        fit(read_run(config))


def test_a_disk_too_small_is_told_before_it_is_filled(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    config = write(parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")})
    leave_free(monkeypatch, 1000)
    assert cli.main(["cache", str(config)]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "would take up to" in told and "has room for 0.0 MB; make room" in told


def test_what_another_data_set_left_there_is_not_taken_for_this_one_s(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    kept = str(tmp_path / "cache")
    fill_feature_cache(
        write(
            parts,
            tmp_path,
            "other",
            feature_cache={"dir": kept},
            data={"_target_": "tests.support.composed.talks"},
        )
    )
    config = write(parts, tmp_path, "run", feature_cache={"dir": kept})
    leave_free(monkeypatch, 1000)
    capsys.readouterr()
    assert cli.main(["cache", str(config)]) == 2
    assert "has room for 0.0 MB; make room" in capsys.readouterr().err


def test_a_filled_folder_needs_no_room(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")})
    samples = fill_feature_cache(config)
    leave_free(monkeypatch, 0)
    assert fill_feature_cache(config) == samples


def test_each_process_of_the_run_has_batches_of_its_own(parts: Path, tmp_path: Path) -> None:
    data = {"_target_": "tests.support.composed.talks"}
    run = {"data": data, "steps": 1, "feature_cache": {"dir": str(tmp_path / "cache")}}
    config = write(parts, tmp_path, "run", **run)
    assert fill_feature_cache(config) == SIZE
    assert fill_feature_cache(config, processes=2) == 2 * SIZE
    assert fill_feature_cache(config, ["+trainer.devices=2"]) == 2 * SIZE
    assert fill_feature_cache(config, ["+trainer.devices=[0,1]", "+trainer.num_nodes=2"]) == 15, (
        "all there are"
    )


def test_a_disk_that_fills_up_ends_the_command(parts: Path, tmp_path: Path) -> None:
    data = {"_target_": "tests.support.composed.talks"}
    config = write(
        parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")}, data=data
    )
    with small_disk(6000), pytest.warns(UserWarning, match="can't be written any more"):
        with pytest.raises(OSError, match="are kept and .* free; make room.*run it again to go on"):
            fill_feature_cache(config)
    assert fill_feature_cache(config) == 15


def test_the_command_names_what_it_lacks(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder for its feature cache; name one"):
        fill_feature_cache(write(parts, tmp_path, "none"))
    with pytest.raises(ConfigError, match="did you mean 'feature_cache'"):
        fill_feature_cache(write(parts, tmp_path, "wrong", feature_cach="x"))
    toy = {
        "model": {"_target_": "tests.support.composed.Toy"},
        "objective": {"_target_": "tests.support.composed.Regression"},
        "data": {"_target_": "tests.support.composed.Numbers"},
        "stage": {"trainable": ["layer.*"], "losses": {"square": 1.0}},
    }
    with pytest.raises(ConfigError, match="Regression has no frozen part whose results are kept"):
        fill_feature_cache(
            write(parts, tmp_path, "toy", **toy, feature_cache={"dir": str(tmp_path / "cache")})
        )


@pytest.mark.parametrize("share", ["0/2", "3/2", "1", "a/b"])
def test_a_share_is_k_of_n(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache", "x.yaml", "--share", share]) == 2
    assert "is no share such as 1/4" in capsys.readouterr().err


# ---- The command -------------------------------------------------------------------------------


def test_the_command_goes_on_where_it_stopped(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    calls = Calls(monkeypatch)
    data = {"_target_": "tests.support.composed.CutTalks", "varied": True, "cut": 7}
    config = write(
        parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")}, data=data
    )
    with pytest.raises(OSError, match="the power is cut"):
        fill_feature_cache(config)
    assert calls.take_counts()[0] == 2 * 5, "one batch of five"
    assert cli.main(["cache", str(config), "data.cut=100"]) == 0
    assert calls.take_counts()[0] == 2 * (13 - 5)
    assert "15 samples gone through" in capsys.readouterr().out
    assert cli.main(["cache", str(config), "data.cut=100"]) == 0
    assert calls.take_counts()[0] == 0


def test_shares_add_up_to_the_whole(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")})
    assert cli.main(["cache", "--limit", "1", str(config), "workers=1"]) == 0
    for share in ("1/2", "2/2"):
        assert cli.main(["cache", str(config), "workers=1", "--share", share]) == 0
    calls = Calls(monkeypatch)
    losses_of(config)
    assert calls.take_counts()[0] == 0
