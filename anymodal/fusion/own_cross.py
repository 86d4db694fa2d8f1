"""Cross-attention that a language model has itself, given what its media are (Llama 3.2 Vision).

Source: Llama team 2024 (Llama 3), arXiv:2407.21783, section 7.2; transformers' `mllama`, whose own
modules compute, and whose processor says which positions see which pictures.

Shapes: B rows, T positions, M pictures, N states of each, H key heads of width d.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from anymodal.fusion.base import Fusion
from anymodal.language.fused_media import ABSENT, Made
from anymodal.language.model import LanguageModel
from anymodal.types import Features

_Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_REAL = "real states"


class OwnCrossAttention(Fusion):
    """Lets a model's own layers of cross-attention read media; it has no modules of its own.

    A position sees the last picture before it, with those that stand directly before that one. One
    before every picture sees all of its conversation's, as in transformers' own class, and so
    depends on what follows it (`ChatPrompt.looks_ahead`). For a conversation without pictures the
    layers are left out.

    Args:
        language: the model, whose readers give states and behind each a 1, or a 0 for one of a tile
            that the picture lacks.
    """

    def __init__(self, language: LanguageModel) -> None:
        super().__init__(widths={media.kind: language.width for media in language.readers})
        self._language = [language]  # in a list, for torch would take it for a part
        self.attach(language)

    @property
    def device(self) -> torch.device:
        return self._language[0].device

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        language.backbone.register_forward_pre_hook(self._turn_layers_on, with_kwargs=True)
        for block in blocks:
            attention = getattr(block, "cross_attn", None)
            if attention is not None:
                attention.register_forward_pre_hook(self._give_media, with_kwargs=True)
                attention.register_forward_hook(self._leave_others)

    def read(self, modality: str, features: Features) -> Features:
        return features

    def _turn_layers_on(
        self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> _Arguments:
        if not self.current.has_media:
            return args, kwargs
        embeds = kwargs["inputs_embeds"]
        sees = self._seen(self._own()).any(-1).to(embeds.dtype)  # (B, T)
        more = {
            "cross_attention_states": embeds[:, :0],  # tells that there are some
            "full_text_row_masked_out_mask": sees[:, None, :, None],
        }
        return args, {**kwargs, **more}

    def _give_media(
        self, attention: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> _Arguments:
        media = self.current.media
        assert media is not None, "layers are on where there are media"
        made = media.made_by(id(attention), partial(_keys_and_values, attention))
        key, value = (each.flatten(1, 2).transpose(1, 2) for each in made)  # (B, H, M · N, d)
        # In the place of a cache that has them already.
        kept = SimpleNamespace(
            layers={attention.layer_idx: SimpleNamespace(keys=key, values=value)}
        )
        mask = self._mask(kwargs["hidden_states"].dtype)
        more = {"cross_attention_states": None, "past_key_values": kept, "attention_mask": mask}
        return args, {**kwargs, **more}

    def _leave_others(self, _: nn.Module, args: object, result: tuple[Tensor, Any]) -> Any:
        """Nothing for positions of conversations without media."""
        has_media = self._own().any(-1, keepdim=True)  # (B, T, 1)
        return (result[0] * has_media, *result[1:])

    def _own(self) -> Tensor:
        """Which pictures are of a position's own conversation (B, T, M)."""
        media, starts = self.current.media, self.current.starts
        assert media is not None, "there are media"
        # A row with several conversations is read from its beginning, so places are columns there.
        columns = media.places.clamp(max=starts.shape[1] - 1)  # (B, M)
        of_media = starts.expand(len(columns), -1).gather(1, columns)
        is_there = media.places < ABSENT
        return (of_media[:, None] == starts[..., None]) & is_there[:, None]

    def _seen(self, own: Tensor) -> Tensor:
        """Which of its own pictures a position sees (B, T, M)."""
        media = self.current.media
        assert media is not None, "there are media"
        first = media.places
        ends = torch.roll(first, -1, 1)  # each one's, where the next stands
        ends[:, -1] = ABSENT
        for place in range(first.shape[1] - 2, -1, -1):
            stands_behind = first[:, place + 1] == first[:, place] + 1
            ends[:, place] = torch.where(stands_behind, ends[:, place + 1], ends[:, place])
        places = self.current.places[..., None]
        return own & (first[:, None] <= places) & (places < ends[:, None])

    def _mask(self, dtype: torch.dtype) -> Tensor:
        """The mask (B, 1, T, M · N) that is added to scores."""
        media = self.current.media
        assert media is not None, "there are media"
        own = self._own()
        seen = self._seen(own)
        (real,) = media.made_by(_REAL, lambda states: (states[..., -1:],))  # (B, M, N, 1)
        visible = seen[..., None] & (real[:, None, ..., 0] > 0)  # (B, T, M, N)
        everything = own[..., None] & media.mask[:, None]
        shown = torch.where(seen.any(-1)[..., None, None], visible, everything).flatten(2)
        scores = torch.zeros(shown.shape, dtype=dtype, device=shown.device)
        return scores.masked_fill(~shown, torch.finfo(dtype).min)[:, None]


def _keys_and_values(attention: Any, states: Tensor) -> Made:
    """Keys and values (…, N, H, d) of states (…, N, D + 1)."""
    states = states[..., :-1]
    key, value = (
        project(states).unflatten(-1, (-1, attention.head_dim))
        for project in (attention.k_proj, attention.v_proj)
    )
    return attention.k_norm(key), value
