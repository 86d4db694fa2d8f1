"""`anymodal doctor`, and the mending of torchaudio."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from anymodal import cli
from anymodal.cli import doctor, torchaudio_fix
from tests.support.paths import ROOT


def run(*argv: str) -> int:
    return cli.main([str(item) for item in argv])


def test_doctor_gives_advice_where_something_is_amiss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = list(doctor.findings())
    assert lines[0].text.startswith("Python 3.") and not lines[0].is_fault
    assert all(line.advice and "\n" not in line.advice for line in lines)
    status = run("doctor")
    out = capsys.readouterr().out
    assert len(out.splitlines()) == len(lines)
    assert status == int("!!" in out)
    assert doctor._package("torch>=1")[1:] == ("stay within >=1", False)
    assert "pip install" in doctor._package("torch>=999").advice
    lines = ['numpy>=1; extra == "a"', 'nowhere>=1; extra == "b"', "torch"]
    monkeypatch.setattr(doctor, "_all_requirements", lambda: lines)
    there, missing = doctor._extras()
    assert there.text.startswith("extra a: numpy ") and not missing.is_fault
    assert missing.advice.endswith("pip install 'anymodal[b]'")
    absent = doctor._package("no-such-package-anywhere>=1")
    assert "missing" in absent.advice and absent.is_fault


def test_doctor_looks_at_the_disk_of_the_hubs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing has been fetched yet."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "new" / "hub"))
    first, *_ = doctor._disks()
    assert (
        str(tmp_path / "new" / "hub") in first.text and "GB free for the hub's cache" in first.text
    )
    monkeypatch.setattr(doctor, "_ROOM", 1e18)
    first, *_ = doctor._disks()
    assert first.is_fault and "make room, or set HF_HOME" in first.advice


def test_doctor_tells_of_every_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cards are another machine's: torch's two questions are answered here."""
    cards = [SimpleNamespace(name=f"Card {n}", total_memory=n * 10**9) for n in (24, 80)]
    monkeypatch.setattr("torch.cuda.device_count", lambda: len(cards))
    monkeypatch.setattr("torch.cuda.get_device_properties", cards.__getitem__)
    told = [(line.text, line.advice) for line in doctor._processors()]
    assert [text for text, _ in told] == ["GPU 0, Card 24, 24 GB", "GPU 1, Card 80, 80 GB"]
    assert "--device cuda:1" in told[1][1]


def test_doctor_asks_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    # Read from the environment when it was imported, which forbade it.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            with server.accept()[0] as asked:
                asked.recv(1000)
                asked.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert doctor._hub().text.endswith("answers")
        thread.join()
    assert "local folders work" in doctor._hub().advice
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "switched off" in doctor._hub().text


def _fake_site(folder: Path, cuda: str, needs: bytes) -> Path:
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text("raise ImportError('must not be imported')")
    (folder / "torch" / "version.py").write_text(
        f"from typing import Optional\ncuda: Optional[str] = {cuda}\n"
    )
    (folder / "torchaudio" / "lib").mkdir(parents=True)
    (folder / "torchaudio" / "__init__.py").write_text("raise ImportError('nor this')")
    for name in ("_torchaudio.so", "libtorchaudio.so"):
        (folder / "torchaudio" / "lib" / name).write_bytes(b"\x7fELF.." + needs)
    return folder


@pytest.mark.parametrize(
    ("cuda", "needs", "before", "after"),
    [
        ("None", b"libc10_cuda.so", "broken", "aside"),
        ("'12.8'", b"libc10_cuda.so", "fine", "fine"),
        ("None", b"libc10.so", "fine", "fine"),
    ],
)
def test_torchaudio_is_mended_only_where_it_must_be(
    cuda: str,
    needs: bytes,
    before: str,
    after: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = _fake_site(tmp_path, cuda, needs)
    monkeypatch.setattr(torchaudio_fix, "_folder", lambda name: site / name)
    for state in (before, after, after):  # doing it again changes nothing
        assert torchaudio_fix.state() == state
        assert torchaudio_fix.set_aside() == 0


def test_torchaudio_fix_imports_neither(tmp_path: Path) -> None:
    site = _fake_site(tmp_path, "None", b"libc10_cuda.so")
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); from anymodal.cli import torchaudio_fix\n"
        "torchaudio_fix.set_aside(); print(torchaudio_fix.state())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("set aside") == 2 and done.stdout.endswith("aside\n")
