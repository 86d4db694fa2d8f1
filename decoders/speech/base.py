"""The contract of a speaker."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from anymodal.config import nearest, ranges, suggest
from anymodal.decoders.base import NonFiniteError
from anymodal.distributed.locks import CopiedLock
from anymodal.io.recorded import Recorded
from anymodal.media import Audio, Media, Speech

Voice = str | Audio
"""A voice: the name of one that a speaker has, or a recording of somebody who speaks."""

PASSAGES = "passages"
"""The setting of which passages of a reply are spoken; every speaker takes it."""
MARKED, ALL, NONE = "marked", "all", "none"
"""Its values: those that the reply marks, the whole reply, nothing."""

SILENCE = 1e-4
"""Loudest sample of what counts as silent: 80 dB below full scale."""

LETTERS_A_SECOND = 12
"""Letters that are spoken in a second, for a plan: slow English, as 120 words a minute."""


class SilentSpeechError(ValueError):
    """Nothing can be heard in the place of speech."""


class Speaker(Recorded, nn.Module, ABC):
    """Speaks texts: a sibling of `Decoder` whose conditioning is a text and a voice.

    It says exactly the words that it is given, so a model needs neither a head nor training for it.
    Several threads may ask one speaker at once; one that keeps something while it computes holds
    its `lock` meanwhile.

    Attributes:
        media: the class of media that come out.
        max_characters: the longest text that is given to `speak` at once in a reply, which is cut
            into sentences.
        lock: for whatever only one thread may do at a time.
    """

    media: type[Media] = Speech
    max_characters: int = 300

    def __init__(self) -> None:
        super().__init__()
        self.lock = CopiedLock()

    @property
    def voices(self) -> Sequence[str]:
        """Names of the voices that it has, the one that is taken by default first."""
        return ()

    @property
    def takes_recordings(self) -> bool:
        """Whether it speaks in the voice of a recording."""
        return False

    @abstractmethod
    def speak(self, text: str, *, voice: Voice | None = None, seed: int = 0) -> Media:
        """Speak a text; what else is given by keyword are settings of a speaker's own.

        Args:
            text: a sentence or a few.
            voice: whose; the speaker's own where None.
            seed: of whatever is drawn.

        Raises:
            ValueError: there is nothing to say in the text, it is too long, there is no such voice,
                or nothing can be heard of it.
            NonFiniteError: NaN or infinity came out.
        """

    def join(self, media: Sequence[Media]) -> Media:
        """One medium of those of neighbouring texts, which `speak` gave."""
        sounds = [each for each in media if isinstance(each, Speech)]
        assert len(sounds) == len(media), "a speaker of other media joins them itself"
        joined = Speech(np.concatenate([each.samples for each in sounds], 1), sounds[0].rate)
        joined.text = " ".join(each.text for each in sounds)
        return joined

    def check_settings(self, settings: object, place: str = "") -> dict[str, Any]:
        """Check settings of `speak`, and `passages`; `place` names the speaker in the error.

        Raises:
            ValueError: one is unknown, of the wrong type or out of its range.
        """
        prefix = f"{place}: " if place else ""
        if not isinstance(settings, Mapping):
            raise ValueError(
                f"{prefix}settings are given by name, as {{'voice': 'alba'}}, not {settings!r}"
            )
        names, values = self.settings, dict(settings)
        for name in values:
            if name not in names:
                raise ValueError(f"{prefix}there is no setting {name!r}{suggest(str(name), names)}")
        if (passages := values.get(PASSAGES, MARKED)) not in (MARKED, ALL, NONE):
            raise ValueError(
                f"{prefix}{PASSAGES}={passages!r}; it must be {MARKED!r}, {ALL!r} or {NONE!r}"
            )
        if values.get("voice") is not None:
            self.check_voice(values["voice"], prefix)
        for name, (least, most) in _RANGES.items():
            if name in values:
                check = ranges.check_integer if isinstance(least, int) else ranges.check_real
                values[name] = check(f"{prefix}{name}", values[name], least, most)  # type: ignore[arg-type]
        return values

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings that it takes."""
        return (*_settings_of(type(self).speak), PASSAGES)

    def check_voice(self, voice: object, prefix: str = "") -> None:
        """Check that there is such a voice.

        Raises:
            ValueError: there is none of this name, or the speaker takes no recordings.
        """
        if isinstance(voice, Audio):
            if not self.takes_recordings:
                raise ValueError(
                    f"{prefix}this speaker can't speak in the voice of a recording; give the name "
                    f"of one of its voices: {self._listing()}"
                )
        elif not isinstance(voice, str):
            raise ValueError(
                f"{prefix}voice={voice!r}; give a voice's name, or a recording as Audio"
            )
        elif voice not in self.voices:
            more = "; or give a recording as Audio" if self.takes_recordings else ""
            raise ValueError(
                f"{prefix}there is no voice {voice[:80]!r}{nearest(voice, self.voices)}; there "
                f"are: {self._listing()}{more}"
            )

    def _listing(self) -> str:
        names = list(self.voices)
        more = f" and {len(names) - 20} others" if len(names) > 20 else ""
        return (", ".join(names[:20]) or "none") + more

    @property
    def max_seconds(self) -> float:
        """The longest speech at once, for a plan, in seconds."""
        return self.max_characters / LETTERS_A_SECOND

    def workload(self) -> Callable[[], object] | None:
        """The work that holds most memory while the longest text is spoken, for a plan.

        It is called on a copy without values, so it asks for none. None where it isn't known.
        """
        return None

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write what `from_pretrained` of the same class reads."""

    @abstractmethod
    def metadata(self) -> dict[str, object]:
        """The speaker's entry in a checkpoint's manifest, as JSON values."""


_RANGES: Mapping[str, tuple[float, float]] = {
    "steps": (1, ranges.MOST_STEPS),
    "guidance": (0.0, ranges.MOST_GUIDANCE),
    "temperature": (0.0, 10.0),
}
"""Ranges of settings that speakers have in common; whole numbers where the least one is whole."""


@lru_cache(maxsize=64)
def _settings_of(speak: object) -> tuple[str, ...]:
    parameters = inspect.signature(speak).parameters.values()  # type: ignore[arg-type]
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "seed")


def check_sound(samples: np.ndarray[Any, Any], text: str) -> None:
    """Check what a speaker made of a text.

    Raises:
        NonFiniteError: it holds NaN or infinity.
        SilentSpeechError: nothing can be heard.
    """
    said = repr(text if len(text) <= 40 else f"{text[:40]}…")
    if not np.isfinite(samples).all():
        raise NonFiniteError(
            f"NaN or infinity came out where {said} should be spoken; open the speaker in float32",
            [None],
        )
    if not samples.size or float(np.abs(samples).max()) < SILENCE:
        raise SilentSpeechError(
            f"nothing can be heard where {said} should be spoken; try another seed or voice, or "
            "open the speaker in float32"
        )
