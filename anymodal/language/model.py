"""Any Hugging Face causal language model, with token rows of its own beside the model's."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache, PreTrainedModel

from anymodal.io.protocols import TextTokenizer
from anymodal.io.recorded import Recorded
from anymodal.language.families.base import MediaReader, PassInputs
from anymodal.language.fused_media import FusedMedia, FusionPass
from anymodal.language.lora import LoraSettings
from anymodal.language.positions import position_inputs
from anymodal.language.pretrained import Bits, PretrainedModelParts, open_pretrained
from anymodal.language.probes import Finish, can_pack, measure_finish
from anymodal.language.token_losses import IGNORED as IGNORED
from anymodal.language.token_losses import next_token_losses
from anymodal.language.token_network import TokenNetwork
from anymodal.language.widths import widen


class LanguageModel(Recorded, TokenNetwork):
    """A causal language model and its tokenizer, behind the few calls that the framework makes.

    New tokens have rows in parameters of this module (`rows`, and `output_rows` where the model's
    embeddings are untied); the model's own matrices are never resized, so that old rows stay as
    they are whatever is trained. New ids follow the tokenizer's; where a model holds more rows
    than its tokenizer has ids, those spare rows are never used.

    The model's own parameters start frozen. Where a model scales embeddings (Gemma's √D), the
    new rows are stored unscaled and scaled alike by `embed`; soft tokens that go into `forward`
    beside them are taken at the scale of `embed`'s result. What a model does to its scores is
    measured once, and compared with the model's own (`probes.measure_finish`).

    A multimodal model (`families/table.py`) reads media of some kinds by itself: `readers` has what
    does, by class of media. The rest of it is a language model like any other.

    Shapes: B batch, T positions, D width, V ids (old and new), N new ids, L deep layers.

    Raises:
        ValueError: if the tokenizer has more ids than the model has rows, or the model's scores
            can't be computed here as its own are.
    """

    # What is saved are the weights of both, as any other folder's.
    of_published = ("revision", "gguf_file", "adapter")

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: TextTokenizer,
        *,
        name: str = "",
        revision: str | None = None,
        readers: Sequence[MediaReader] = (),
    ) -> None:
        super().__init__(model, tokenizer, readers)
        self.name, self.revision = name, revision
        self.source: Mapping[str, object] = {"name": name, "revision": revision}
        self.lora: LoraSettings | None = None
        self.quantize: Bits | None = None  # on the meta device: how linear layers would be kept
        self.num_axes = 1 if self.family is None else self.family.num_axes  # of positions
        self._takes_positions = (
            "position_ids" in inspect.signature(self.backbone.forward).parameters
        )
        self.finish = self._measure_finish()

    def _measure_finish(self) -> Finish:
        """Measure what the model does around its output layer, on ids from its vocabulary's middle.

        Words are there; ids at both ends may have a meaning of their own.
        """
        ids = [self.first_new * (4 + place) // 12 for place in (0, 1, 2, 3, 3)]
        variant = [*ids[:-1], self.first_new * 8 // 12]
        rows = torch.tensor([ids, variant], device=self.device)
        with self._in_eval_mode():
            return measure_finish(self.model, rows, lambda ids: self(self.embed(ids)))

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str,
        *,
        lora: LoraSettings | None = None,
        dtype: str | torch.dtype | None = None,
        quantize: Bits | None = None,
        chat_template: str | None = None,
        revision: str | None = None,
        gguf_file: str | None = None,
        adapter: str | None = None,
        weights: bool = True,
    ) -> LanguageModel:
        """Load a model folder, a hub repository or a GGUF file; code in it is never run.

        Args:
            path_or_name: a folder, the name of a hub repository, or a GGUF file, whose weights are
                unpacked as it is opened (the extra `gguf`).
            lora: keyword arguments of `enable_lora`, None for no adapters.
            dtype: the weights' precision; None for the one they were saved in.
            quantize: keep the linear layers' weights in 8 bits (Dettmers et al. 2022,
                arXiv:2208.07339) or 4 (NF4, Dettmers et al. 2023, arXiv:2305.14314: with `lora`,
                QLoRA). Wants a CUDA GPU and bitsandbytes.
            chat_template: in Jinja, instead of the tokenizer's own.
            revision: the hub revision to pin.
            gguf_file: which GGUF file of the folder or repository.
            adapter: one that the checkpoint has in a folder beside its model, to be merged
                (`vision` or `speech` of Phi-4-multimodal); None for the model without.
            weights: without them, the model is on the meta device and no weight is read. What is
                to be quantised then has the shapes and dtypes that it was saved in, and says
                `quantize`.

        Raises:
            ValueError: if it is no causal language model, or one whose scores can't be computed
                here as its own are (`probes.measure_finish`); if the model and its tokenizer do not
                belong together, weights are missing or damaged, or nothing here can quantise; if
                its family has no such adapter, or it would be merged into quantised weights.
            OSError: if there is no such folder or repository, or it lacks the adapter.
            ImportError: if it is a GGUF file, and the package gguf isn't there.
        """
        parts = open_pretrained(
            path_or_name,
            revision=revision,
            dtype=dtype,
            quantize=quantize,
            gguf_file=gguf_file,
            adapter=adapter,
            weights=weights,
        )
        language = cls._of(parts, lora, chat_template)
        if not weights:
            language.quantize = quantize
        return language

    @classmethod
    def _of(
        cls, parts: PretrainedModelParts, lora: LoraSettings | None, chat_template: str | None
    ) -> LanguageModel:
        model, tokenizer, source, readers = parts
        if chat_template is not None:
            tokenizer.chat_template = chat_template
        revision = source["revision"]
        language = cls(
            model,
            tokenizer,
            name=str(source["name"]),
            revision=None if revision is None else str(revision),
            readers=readers,
        ).eval()
        language.source = source
        if lora is not None:
            language.enable_lora(**lora)
        return language.eval()

    @cached_property
    def packs(self) -> bool:
        """True if several sequences may share a row, parted by positions that start again.

        It is tried (`probes.can_pack`). On the meta device, where it can't be, the answer is yes.
        """
        if self.device.type == "meta" or not self._shares_rows:
            return self._shares_rows
        with self._in_eval_mode():
            rows = self.embedding.weight
            return can_pack(rows, lambda embeds, positions: self(embeds, positions=positions))

    def packs_positions(self, axes: Sequence[Tensor | None], has_media: bool = False) -> bool:
        """Return whether sequences of such positions (A, T) may share a row: where media have some
        of their own, a model with a single axis can't tell where a sequence ends; where a
        picture's positions see each other, masks of transformers don't keep rows' sequences apart.
        """
        if has_media and self.family is not None and not self.family.is_causal:
            return False
        return self.packs and (self.num_axes > 1 or all(each is None for each in axes))

    def forward(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        positions: Tensor | None = None,
        media: FusedMedia | None = None,
    ) -> Tensor:
        """Last layer's hidden states, after the final norm; the output layer is not computed.

        Args:
            inputs_embeds: (B, T, D); or (B, T, D · (1 + L)), with what media add to the states
                behind each of the first L layers, 0 elsewhere.
            attention_mask: (B, past + T), nonzero where a position is real; padding may be
                anywhere, positions are counted over the real ones.
            past_key_values: a `transformers` cache, extended in place.
            positions: (B, T), of sequences in rows, instead of a mask: each counts from 0, and
                attention never crosses from one to the next where the model `packs`. Where media
                have positions of their own, (1 + A, B, T): these places, and the positions along
                the model's `num_axes`, or along one that stands for all.

            media: that modules around the blocks read; with a cache those that it holds.

        Returns:
            (B, T, D).
        """
        if self._begin_pass is not None:
            if past_key_values is not None:
                media = getattr(past_key_values, "fused", None)
            columns = inputs_embeds.shape[1], inputs_embeds.device
            self._begin_pass(
                FusionPass.of(media, columns, attention_mask, past_key_values, positions)
            )
        more: dict[str, Any] = {}
        if attention_mask is not None:
            mask = attention_mask.long()
            more["attention_mask"] = mask
            if positions is None:
                positions = (mask.cumsum(-1) - 1).clamp(min=0)  # (B, past + T)
                positions = positions[:, -inputs_embeds.shape[1] :]
        if positions is not None and self._takes_positions:
            unmasked = attention_mask is None and past_key_values is None
            more |= position_inputs(positions, self.num_axes, unmasked)
        inputs_embeds = inputs_embeds.to(self.embedding.weight.dtype)
        if self._marks_ids:
            inputs_embeds = widen(inputs_embeds, self.input_width)
        if inputs_embeds.shape[-1] > self.width:
            assert self.family is not None, "a reader of its own gave deep features"
            layers = inputs_embeds.unflatten(-1, (-1, self.width))  # (B, T, 1 + L, D)
            inputs_embeds = layers[:, :, 0]
            given, position_ids = more.get("attention_mask"), more.get("position_ids")
            inputs = PassInputs(self.backbone, inputs_embeds, given, position_ids, past_key_values)
            more |= self.family.deep_inputs(inputs, layers[:, :, 1:])
        output = self.backbone(
            inputs_embeds=inputs_embeds,
            past_key_values=past_key_values,
            use_cache=past_key_values is not None,
            **more,
        )
        return torch.as_tensor(output.last_hidden_state)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of old and new ids at the positions passed, (…, D) → (…, V)."""
        hidden = self.finish.hidden(hidden)
        old = self._output(hidden)[..., : self.first_new]
        if (missing := self.first_new - old.shape[-1]) > 0:
            # Marks of media that the model never says may have no row there (Llama 3.2 Vision).
            old = F.pad(old, (0, missing), value=-math.inf)
        rows = self.rows if self.tied else self.output_rows
        new = F.linear(hidden, rows.to(hidden.dtype))  # (..., N)
        return self.finish.scores(torch.cat([old, new], -1))

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """The mean of `losses`; zero where nothing is supervised."""
        losses = self.losses(hidden, labels)
        # A zero that reaches backward, as FSDP2's collectives need.
        return losses.mean() if len(losses) else hidden.sum() * 0.0

    def losses(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy (N,) of the next token, at the supervised positions only, row by row.

        Hidden states are picked first and projected after, which has the gradient of the full
        logits at a fraction of the cost.

        Args:
            hidden: (B, T, D), from `forward`.
            labels: (B, T), the ids at the same positions (shifted here), -100 where unsupervised.
                On the CPU they are picked there, and the device isn't waited for.
        """
        return next_token_losses(self.logits, hidden, labels)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model and its tokenizer as they were loaded: no new tokens, no adapters."""
        plain = {
            name.replace(".base_layer.", "."): tensor
            for name, tensor in self.model.state_dict().items()
            if "lora_" not in name
        }
        self.model.save_pretrained(folder, state_dict=plain)
        self._plain_tokenizer.save_pretrained(folder)
        for reader in self.readers.values():
            reader.save_pretrained(folder)

    def metadata(self) -> dict[str, object]:
        """Metadata for a checkpoint's manifest, to recognise the model it was trained on."""
        return {
            "class": type(self.model).__name__,
            "source": self.source,
            "words": self.words,
            "template": hashlib.sha256(self.template.jinja.encode()).hexdigest()[:16],
            "vocab_size": self.first_new,
            "width": self.width,
        }
