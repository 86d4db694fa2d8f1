"""Media of the server and of Python tell that a model made them."""

from __future__ import annotations

import time
from base64 import b64decode
from typing import Any

import openai
import pytest

from anymodal.model import AnyModal
from tests.support.serving import make_sound, model_to_serve, serving

QUICK: dict[str, Any] = {"steps": 2, "guidance": 1.0, "seed": 3}
DRAW = "draw a small blue ball"


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


def test_files_tell_the_model_and_the_seed(model: AnyModal) -> None:
    with serving([model_to_serve(model)]) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        files = []
        for seed in (3, 3, 3, 4):
            extra = {**QUICK, "seed": seed}
            made = client.images.generate(model="nano", prompt="a ball", extra_body=extra)
            files.append(b64decode((made.data or [])[0].b64_json or ""))
            assert f"model nano, seed {seed}".encode() in files[-1]
        # The first reads its prompt anew, and the others find it read: a rounding of difference.
        assert files[1] == files[2], "nothing in them tells the time"
        sounds = []
        for form in ("wav", "wav", "wav", "flac"):
            sounds.append(make_sound(client, input="a bell", response_format=form, **QUICK).content)
            assert b"Made by AI: AnyModal" in sounds[-1]
            time.sleep(0.6)
        assert sounds[1] == sounds[2]
        client.close()


def test_the_note_is_switched_off(model: AnyModal) -> None:
    fast: Any = {"image": {"steps": 2, "guidance": 1.0}}
    made = model.chat(DRAW, seed=3, sampling=fast).media[0]
    assert made.provenance is not None and made.provenance.model == "nano"
    assert made.provenance.seed == 3 and b"seed 3" in made.encode(".png")
    model.provenance = False
    try:
        bare = model.chat(DRAW, seed=3, sampling=fast).media[0]
    finally:
        model.provenance = True
    assert bare == made and bare.digest() == made.digest()
    assert bare.provenance is None and b"Made by AI" not in bare.encode(".png")
