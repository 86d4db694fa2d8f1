"""How a command's process starts and ends: nothing that was written is lost."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from anymodal.cli.process import quick_start
from tests.support.paths import ROOT

LEAVING = "from anymodal.cli.process import leave\n"
# Python's own buffers are what could be lost.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRONMENT = {**BUFFERED, "PYTHONPATH": str(ROOT)}


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def test_garbage_is_collected_again_after_the_start() -> None:
    frozen = gc.get_freeze_count()
    with quick_start():
        assert not gc.isenabled()
        kept = [[] for _ in range(100)]
    assert gc.isenabled() and gc.get_freeze_count() >= frozen + len(kept)
    gc.unfreeze()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        with quick_start():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_output_and_open_files_are_written(tmp_path: Path) -> None:
    done = python(
        LEAVING + "import gc, sys\n"
        "text, log, raw = open('text', 'w'), open('log', 'w'), open('raw', 'wb')\n"
        "text.write('kept'), raw.write(b'kept'), print('x' * 100_000), log.write('early')\n"
        "gc.freeze(), sys.stderr.write('told')\n"
        "leave(3)",
        tmp_path,
    )
    assert (done.returncode, len(done.stdout), done.stderr) == (3, 100_001, "told")
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {"text": "kept", "log": "early", "raw": "kept"}


def test_objects_are_searched_only_where_a_file_may_be_open(tmp_path: Path) -> None:
    code = (
        "import gc, io, os, sys\n"
        "find = gc.get_objects\n"
        "gc.get_objects = lambda: os.write(2, b'searched') and find()\n"
    )
    stream = "sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, 'w')))\nprint('x')\n"
    done = python(f"{LEAVING}{code}{stream}leave(0)", tmp_path)
    assert (done.stdout, done.stderr) == ("x\n", "")
    done = python(f"{LEAVING}{code}file = open('file', 'w')\nfile.write('x')\nleave(0)", tmp_path)
    assert (done.stderr, (tmp_path / "file").read_text()) == ("searched", "x")


def test_threads_and_functions_of_the_end_run_and_temporary_folders_go(tmp_path: Path) -> None:
    done = python(
        LEAVING + "import atexit, logging, logging.handlers, tempfile, threading, time\n"
        "atexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\n"
        "file = logging.FileHandler('log')\n"
        "logging.getLogger().addHandler(logging.handlers.MemoryHandler(9, target=file))\n"
        "logging.warning('noted')\n"
        "folder = tempfile.TemporaryDirectory(dir='.')\n"
        "leave(0)",
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "thread\nat exit\n"), done.stderr
    assert (tmp_path / "log").read_text() == "noted\n"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_no_worker_of_a_data_loader_outlives_it(tmp_path: Path) -> None:
    done = python(
        LEAVING + "import multiprocessing\n"
        "from torch.utils.data import DataLoader\n"
        "loader = DataLoader([1, 2, 3], num_workers=1, persistent_workers=True)\n"
        "batches = iter(loader)\n"
        "next(batches)\n"
        "print(multiprocessing.active_children()[0].pid)\n"
        "leave(0)",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


@pytest.mark.parametrize("end", ["leave(0)", "import sys; sys.exit(0)"])
def test_a_closed_pipe_ends_it_as_python_does(tmp_path: Path, end: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", f"{LEAVING}input()\nprint('x')\n{end}"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    child.stdout.close()
    child.stdin.write("go\n")
    child.stdin.close()
    told = child.stderr.read()
    child.stderr.close()
    assert child.wait() == 120
    assert told.startswith("Exception ignored") and told.count("BrokenPipeError") == 1


@pytest.mark.parametrize(
    ("watched", "destroyed"),
    [("", ""), ("import cProfile; cProfile.Profile().enable()\n", "end\n")],
)
def test_only_under_a_profiler_are_objects_taken_apart(
    tmp_path: Path, watched: str, destroyed: str
) -> None:
    code = "class Kept:\n    def __del__(self): print('end')\nkept = Kept()\n"
    done = python(f"{LEAVING}{code}{watched}leave(4)", tmp_path)
    assert (done.returncode, done.stdout) == (4, destroyed), done.stderr


def test_a_training_s_logs_are_whole(tmp_path: Path) -> None:
    run = {
        "model": {"_target_": "tests.support.composed.Toy"},
        "objective": {"_target_": "tests.support.composed.Regression"},
        "data": {"_target_": "tests.support.composed.Numbers"},
        "stage": {"trainable": ["layer.*"], "losses": {"square": 1.0}},
        "output_dir": str(tmp_path / "run"),
        "trusted_packages": ["tests"],
        "trainer": {"accelerator": "cpu"},
    }
    numbers = {"steps": 4, "batch_size": 3, "log_every": 1, "workers": 1}
    (tmp_path / "run.yaml").write_text(json.dumps(run | numbers))
    command = [sys.executable, "-m", "anymodal", "train", "run.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (events,) = (tmp_path / "run" / "logs").glob("events.out.tfevents.*")
    reader = EventAccumulator(str(events)).Reload()
    assert len(reader.Scalars("loss")) == 4
    (metrics,) = (tmp_path / "run" / "logs").glob("version_*/metrics.csv")
    assert len(metrics.read_text().splitlines()) == 5
