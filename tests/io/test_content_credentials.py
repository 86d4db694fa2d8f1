"""Content Credentials are read back and verified by the official package."""

from __future__ import annotations

import copy
import io
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anymodal.cli.command_line import main
from anymodal.io.content_credentials import MIMES, ContentSigner
from anymodal.media import Audio, Image, Media, Video
from anymodal.media.provenance import SOURCE_TYPE, Provenance

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
SOUND = np.zeros((1, 99), np.float32)
EXTENSIONS = """
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,emailProtection
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> ContentSigner:
    pytest.importorskip("c2pa")
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("keys")
    for name in ("root", "leaf"):
        openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-out", f"{name}.key")  # fmt: skip
    openssl(folder, "req", "-x509", "-new", "-key", "root.key", "-subj", "/O=Test/CN=Root",
            "-days", "2", "-out", "root.pem")  # fmt: skip
    openssl(folder, "req", "-new", "-key", "leaf.key", "-subj", "/O=Test/CN=Leaf",
            "-out", "leaf.csr")  # fmt: skip
    (folder / "extensions").write_text(EXTENSIONS)
    openssl(folder, "x509", "-req", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey", "root.key",
            "-CAcreateserial", "-days", "2", "-extfile", "extensions",
            "-out", "leaf.pem")  # fmt: skip
    chain = folder / "chain.pem"
    chain.write_text((folder / "leaf.pem").read_text() + (folder / "root.pem").read_text())
    return ContentSigner(folder / "leaf.key", chain)


def medium(suffix: str) -> Media:
    if suffix in (".wav", ".flac"):
        return Audio(SOUND, 16000)
    return Video(np.stack([PIXELS] * 2), 2.0) if suffix in (".mp4", ".gif") else Image(PIXELS)


@pytest.mark.parametrize("suffix", MIMES)
def test_credentials_are_verified(suffix: str, signer: ContentSigner) -> None:
    import c2pa

    made = medium(suffix)
    made.provenance = Provenance("nano", 3, "AnyModal 1.0")
    noted = made.encode(suffix)
    made.provenance = Provenance("nano", 3, "AnyModal 1.0", signer)
    data = made.encode(suffix)
    assert type(made).load(data) == type(made).load(noted)
    read = json.loads(c2pa.Reader(MIMES[suffix], io.BytesIO(data)).json())
    # Valid, but of nobody whom the package trusts by itself.
    assert read["validation_state"] == "Valid"
    assert {each["code"] for each in read["validation_status"]} == {"signingCredential.untrusted"}
    assertions = read["manifests"][read["active_manifest"]]["assertions"]
    (action,) = next(
        each["data"]["actions"] for each in assertions if each["label"].startswith("c2pa.actions")
    )
    assert action["digitalSourceType"] == SOURCE_TYPE
    assert action["parameters"] == {"model": "nano", "seed": 3}
    if suffix == ".png":
        changed = data[:-200] + bytes([data[-200] ^ 1]) + data[-199:]
        broken = json.loads(c2pa.Reader("image/png", io.BytesIO(changed)).json())
        assert broken["validation_state"] == "Invalid"


def test_a_key_leaves_no_process(signer: ContentSigner) -> None:
    made = Provenance("nano", 3, "AnyModal 1.0", signer)
    assert copy.deepcopy(made).signer is signer and pickle.loads(pickle.dumps(made)).signer is None
    image = Image(PIXELS)
    image.provenance = made
    assert b"PRIVATE KEY" not in pickle.dumps(image)


def test_wrong_keys_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    file = tmp_path / "key.pem"
    file.write_text("no key")
    with pytest.raises(ValueError, match="can't sign"):
        ContentSigner(file, file)
    with pytest.raises(FileNotFoundError):
        ContentSigner(tmp_path / "none", file)


def test_without_the_package_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    file = str(tmp_path / "key.pem")
    assert main(["serve", "--sign-key", file, "--sign-certificates", file]) == 2
    assert "anymodal[c2pa]" in capsys.readouterr().err
    assert main(["serve", "--sign-key", file]) == 2
    assert "give both" in capsys.readouterr().err
    both = ["--sign-key", file, "--sign-certificates", file, "--no-provenance"]
    assert main(["serve", *both]) == 2
    assert "nothing to sign" in capsys.readouterr().err
