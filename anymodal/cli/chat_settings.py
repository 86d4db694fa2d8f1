"""Settings of a session by name, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from anymodal.chat.settings import (
    DiffusionSettings,
    MediaSettings,
    SpeechSettings,
    TextSettings,
)
from anymodal.config import suggest
from anymodal.media import Media

if TYPE_CHECKING:
    from anymodal.chat.session import Session


def apply_setting(session: Session, name: str, text: str) -> None:
    """Set a setting for the replies to come.

    Args:
        session: whose replies.
        name: of a text setting; of a media setting, for every decoder that takes it; or a
            modality, a dot and a media setting.
        text: the value, as JSON has it; what is no JSON is a string.

    Raises:
        ValueError: the setting is unknown, or its value of the wrong type or out of its range.
    """
    value, name = _value_of(text.strip()), name.strip()
    if name.rpartition(".")[2] == "voice":
        value = _voice_of(value)
    if name in TextSettings.__annotations__:
        session.configure(**cast(TextSettings, {name: value}))
        return
    modality, dot, setting = name.rpartition(".")
    setting_of_media = cast(MediaSettings, {setting: value})
    if dot:
        session.configure({modality: setting_of_media})
        return
    takers = _takers(session, name, setting_of_media)
    session.configure(dict.fromkeys(takers, setting_of_media))


def _value_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _voice_of(value: Any) -> Any:
    """A voice's name as it is; a file as the recording that it holds."""
    path = Path(str(value)).expanduser()
    return Media.load(path) if path.suffix and path.is_file() else value


def _takers(session: Session, name: str, setting: MediaSettings) -> list[str]:
    """The modalities whose decoders take a setting.

    Raises:
        ValueError: none does.
    """
    try:
        return session.model.modalities_with(setting)
    except ValueError as error:
        media = get_type_hints(DiffusionSettings) | get_type_hints(SpeechSettings)
        names = [*TextSettings.__annotations__, *media]
        if name in names or "there is no setting" not in str(error):
            raise
        raise ValueError(f"there is no setting {name!r}{suggest(name, names)}") from None


def describe_settings(session: Session) -> str:
    """The settings that differ from the model's own, a line each."""
    lines = [f"{name} {json.dumps(value)}" for name, value in session.text.items()]
    lines += [
        f"{modality}.{name} {json.dumps(value, default=repr)}"
        for modality, settings in session.sampling.items()
        for name, value in settings.items()
    ]
    return "\n".join(lines) or "every setting is the model's own"
