"""The table of families that speak, by the model's type in its configuration."""

from __future__ import annotations

from anymodal.config import suggest
from anymodal.decoders.speech.codebooks import BarkFamily, CsmFamily, DiaFamily
from anymodal.decoders.speech.continuous import PhononFamily, PocketTTSFamily, VibeVoiceFamily
from anymodal.decoders.speech.family import SpeechFamily
from anymodal.decoders.speech.spectrograms import SpeechT5Family

FAMILIES: dict[str, SpeechFamily] = {
    "vibevoice": VibeVoiceFamily(),
    "gradium_phonon_tts": PhononFamily(),
    "pocket_tts": PocketTTSFamily(),
    "dia": DiaFamily(),
    "csm": CsmFamily(),
    "bark": BarkFamily(),
    "speecht5": SpeechT5Family(),
}


def find_speech_family(model_type: str, name: str = "") -> SpeechFamily:
    """The family of a model's type.

    Raises:
        ValueError: no family here has it.
    """
    if model_type not in FAMILIES:
        raise ValueError(
            f"{name or 'this'} is a {model_type!r}, and no family of speakers has that type"
            f"{suggest(model_type, FAMILIES)}; those that are read here are {', '.join(FAMILIES)}"
        )
    return FAMILIES[model_type]
