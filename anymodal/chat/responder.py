"""The contract of whoever answers a session: a model in this process, or one on a server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import Protocol, Unpack

from anymodal.chat.checking import ReplyChecker
from anymodal.chat.references import ReferencesByModality
from anymodal.chat.settings import MediaSettings, MediaSettingsByModality, TextSettings
from anymodal.chat.tools import ToolLike, ToolLimits
from anymodal.language.kv_cache import PrefixCache
from anymodal.media import Limits, Media
from anymodal.types import Event, ToolCall


class Responder(Protocol):
    """Answers the turns of a session: a `ChatModel`, or `serving.client`'s `RemoteModel`."""

    @property
    def history_turns(self) -> int | None:
        """Earlier turns that it is shown; None for all."""

    @property
    def history_notice(self) -> str:
        """Text before a conversation whose earlier turns it isn't shown; empty for none."""

    @property
    def readable_kinds(self) -> Sequence[str] | None:
        """Kinds of media that it reads; None where nobody knows before it is asked."""

    @property
    def spoken_media(self) -> Collection[type[Media]]:
        """Classes of media in which its texts are spoken; they have no number in a conversation."""

    def check_settings(
        self,
        sampling: MediaSettingsByModality | None,
        text: TextSettings,
        others: Sequence[str] = (),
    ) -> object:
        """Check settings, see `chat.settings.check_settings`.

        Raises:
            ValueError: for one that is unknown or out of its range.
        """

    def check_system_prompt(self, text: str) -> None:
        """Check that it takes a system prompt.

        Raises:
            ValueError: if it doesn't.
        """

    def check_tools(self) -> None:
        """Check that it can be offered tools.

        Raises:
            ValueError: if its chat template has no form for them.
        """

    def modalities_with(self, setting: MediaSettings) -> list[str]:
        """The modalities whose media are made with a setting.

        Raises:
            ValueError: there is none, by what the first of them says against it.
        """

    def new_cache(self) -> PrefixCache | None:
        """A cache for one session's turns; None where it is kept elsewhere."""

    def token_text(self, token: int) -> str:
        """The text of a token whose log-probability was told."""

    def save_medium(self, medium: Media, path: Path) -> Path:
        """Save a medium of a reply; the path has no suffix yet."""

    def stream(
        self,
        conversation: object,
        *,
        seed: int | None = None,
        sampling: MediaSettingsByModality | None = None,
        references: ReferencesByModality | None = None,
        limits: Limits | None = None,
        cache: PrefixCache | None = None,
        tools: Sequence[ToolLike] = (),
        tool_limits: ToolLimits | None = None,
        approve_call: Callable[[ToolCall], bool] | None = None,
        check: ReplyChecker | bool | None = None,
        **text: Unpack[TextSettings],
    ) -> Generator[Event]:
        """Answer a conversation, see `ChatModel.stream`."""
