"""The public model: a composed network that chats, and that folders and configurations give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch

from anymodal import composition
from anymodal.chat.model import ChatModel
from anymodal.composition import editing, placement
from anymodal.config import BuildPart, call
from anymodal.decoders import Decoder
from anymodal.heads import Head
from anymodal.language.lora import LoraSettings
from anymodal.modality import Modality


class AnyModal(ChatModel):
    """A language model that reads and makes media through the modalities it is given.

    `ComposedModel` has the constructor's arguments, and what the network computes.
    """

    @classmethod
    def compose(
        cls,
        config: Mapping[str, Any] | str | Path,
        trusted_packages: Sequence[str] = (),
        *,
        weights: bool = True,
        build_part: BuildPart = call,
    ) -> Self:
        """Build a model from a configuration: see `anymodal.composition.compose`."""
        return composition.compose(
            cls, config, trusted_packages, weights=weights, build_part=build_part
        )

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        lora: LoraSettings | None = None,
        trusted_packages: Sequence[str] = (),
        *,
        revision: str | None = None,
        token: str | None = None,
        dtype: str | torch.dtype | Mapping[str, Any] | None = None,
        device: str | int | torch.device | None = None,
        device_map: str | int | torch.device | Mapping[str, Any] | None = None,
        weights: bool = True,
        build_part: BuildPart = call,
    ) -> Self:
        """Read a model: a folder, one that ships with the package (`nano`), or one on the hub.

        Args:
            path: the folder, or the name, as `nano` or `user/name`.
            lora: adds fresh low-rank adapters to a model that has none, for a stage to train.
            trusted_packages: packages whose parts the folder may use beside AnyModal's own.
            revision: a branch, a tag or a commit of the hub's repository; None for `main`.
            token: for a private repository; None for the one of `hf auth login` or HF_TOKEN.
            dtype: the weights' precision: of all, as `bfloat16`, or by the name of a part, where
                the longest that fits counts, as `{"": "bfloat16", "decoders": "float32"}` or
                `{"decoders.image.parts.vae": "float32"}`; `auto` for that of the files. None is
                `auto`, but float32 for bfloat16 where `device` is a processor without it.
            device: where all parts compute; `auto` is a GPU where there is one, None the CPU.
            device_map: the same, or by the name of a part, as `{"": "cuda:0", "decoders":
                "cuda:1"}`; for chatting, since training wants all on one.
            weights: without them, the model is on the meta device and no weight is read: shapes
                and dtypes, as for a plan. `device` and `device_map` then change nothing.
            build_part: how each part is built; see `anymodal.config.instantiate`.

        Raises:
            ValueError: for a precision, a device or a part that there isn't.
            CheckpointError: if a file is missing or damaged, or weights or parts don't fit.
            PermissionError: if the hub doesn't give the model to this user.
        """
        dtypes, places = placement.parse_dtypes(dtype), placement.parse_devices(device, device_map)
        folder = composition.find(path, revision, token)
        model = composition.from_pretrained(
            cls, folder, lora, trusted_packages, weights=weights, build_part=build_part
        )
        placement.place(model, dtypes, places if weights else {})
        model.name = Path(path).absolute().name
        return model

    def replace_decoder(self, name: str, decoder: Decoder, head: Head | None = None) -> None:
        """Let a modality be made by another decoder, frozen until a stage says otherwise.

        Args:
            name: a modality that has a decoder.
            decoder: of the same conditioning, as the same pipeline trained further; or of any,
                with a head of its own.
            head: instead of the one that is there, for a stage to train (`heads.<name>.*`).

        Raises:
            ValueError: if there is no such decoder, the head doesn't fit the new one, or another
                modality makes its class of media.
        """
        editing.replace_decoder(self, name, decoder, head)

    def add_modality(
        self,
        name: str,
        modality: Modality,
        *,
        like: str | None = None,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        """Let the model read or speak one more modality; what it knew before stays as it is.

        A modality that is read gets a placeholder token and entries of its own in the projection,
        for a stage to train (`projection.*.<name>*`). One that is spoken needs nothing.

        Args:
            name: the new modality.
            modality: with an encoder and no decoder, or with a speaker alone.
            like: a modality whose entries in the projection to start from.
            encoder: how a configuration builds the encoder, such as
                `{"_target_": "touch.TouchEncoder"}`, where it can't tell by itself, as one whose
                constructor takes objects. `from_pretrained(folder, trusted_packages=["touch"])`
                opens the saved model.

        Raises:
            ValueError: if the name or the class of media is taken, `like` is unknown, or there is
                a decoder, whose signals would have to stand before the placeholders there are.
        """
        editing.add_modality(self, name, modality, like=like, encoder=encoder)

    def save_pretrained(self, folder: str | Path, with_parts: bool = False) -> None:
        """Write configuration, trained weights and manifest; with the parts too, if asked."""
        composition.save_pretrained(self, Path(folder), with_parts)

    def push_to_hub(
        self,
        name: str,
        *,
        with_parts: bool = False,
        revision: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        message: str = "",
        licence: str | None = None,
    ) -> str:
        """Upload the model to the hub, with a card of what it is and was trained on.

        Without its parts that is what was trained, often a few megabytes: projection, heads, rows
        of signal tokens, adapters, and parts that a stage changed. Others open it over the same
        parts, which are fetched from their own repositories at the revision that they have here.

        Args:
            name: of the repository, owner/name; created where there is none.
            with_parts: upload every part too, as where one is a folder of this machine.
            revision: the branch; None for `main`.
            private: of a new repository; None for the owner's default.
            token: with the right to write; None for the one of `hf auth login` or HF_TOKEN.
            message: of the commit.
            licence: of what was trained, by its name on the hub, as `apache-2.0`.

        Returns:
            The address of the commit.

        Raises:
            ValueError: for a name that is none, or a part that only this machine has.
            PermissionError: if the token is missing, invalid or may not write there.
            ConnectionError: if the hub may not be asked.
        """
        return composition.push_to_hub(
            self,
            name,
            with_parts=with_parts,
            revision=revision,
            private=private,
            token=token,
            message=message,
            licence=licence,
        )
