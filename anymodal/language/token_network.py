"""The tokens of a language model: a tokenizer's ids, and rows for new ones beside the model's."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from transformers import AddedToken, PreTrainedModel

from anymodal.distributed import locks
from anymodal.io.fingerprints import tokenizer_fingerprint
from anymodal.io.message_content import ToolCall
from anymodal.io.protocols import TextTokenizer
from anymodal.language.chat_template import ChatTemplate
from anymodal.language.families.base import MediaReader
from anymodal.language.families.table import multimodal_family
from anymodal.language.network import LanguageNetwork
from anymodal.language.special_tokens import stop_ids
from anymodal.language.template_messages import TemplateSegment, ToolDefinition
from anymodal.language.template_parts import Piece
from anymodal.language.token_rows import append_rows, embed_new
from anymodal.language.widths import widen


class TokenNetwork(LanguageNetwork):
    """A language network with its tokenizer: texts to ids, ids to embeddings.

    New tokens have ids behind the tokenizer's and rows beside the model's own, which stay as they
    are (`LanguageModel`).

    Args:
        model: a causal language model of transformers.
        tokenizer: its own.
        readers: of media that it reads by itself.

    Raises:
        ValueError: if the tokenizer has more ids than the model has rows, or the model has no
            output layer.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, readers: Sequence[MediaReader]
    ) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.family = multimodal_family(model)
        self.readers = {reader.media: reader for reader in readers}
        self.tokenizer = tokenizer
        self._plain_tokenizer = copy.deepcopy(tokenizer)  # saved later, without new tokens
        self.first_new = int(max(tokenizer.get_vocab().values())) + 1
        self.new_count = 0
        if self.first_new > self.embedding.weight.shape[0]:
            raise ValueError(
                f"the tokenizer has {self.first_new} ids, the model only "
                f"{self.embedding.weight.shape[0]} embedding rows; they do not belong together"
            )
        self.width = int(self.embedding.weight.shape[1])
        num_deep = 0 if self.family is None else self.family.num_deep(model.config)
        self.input_width = self.width * (1 + num_deep)
        self._marks_ids = self.family is not None and self.family.marks_ids(model.config)
        if model.get_output_embeddings() is None:
            raise ValueError(f"{type(model).__name__} has no output layer, so it says no words")
        self.tied = self._output.weight is self.embedding.weight
        self.words = tokenizer_fingerprint(tokenizer)  # before anybody adds to it
        self.template = self._template(stop_ids(model, tokenizer))
        self.rows = nn.Parameter(torch.empty(0, self.width, device=self.device))
        if not self.tied:
            self.output_rows = nn.Parameter(torch.empty(0, self.width, device=self.device))

    def _template(self, stops: Collection[int]) -> ChatTemplate:
        readers = self.readers.items()
        written = {media.kind: each.written or each.placeholder for media, each in readers}
        as_parts = self.family is not None and self.family.renders_parts
        return ChatTemplate(self.tokenizer, stops, written, as_parts)

    @property
    def stops(self) -> frozenset[int]:
        """Ids that end a reply."""
        return self.template.stops

    @property
    def vocab_size(self) -> int:
        """Old and new ids together, the width of `logits`."""
        return self.first_new + self.new_count

    def add_tokens(self, names: Sequence[str]) -> list[int]:
        """Add special tokens with rows of their own; their ids are contiguous.

        New rows are the mean of the old ones plus noise at a tenth of their spread, so that at
        first no new token is likelier than the average one.

        Raises:
            ValueError: if a name is given twice or the tokenizer has it already.
        """
        vocabulary = self.tokenizer.get_vocab()
        for index, name in enumerate(names):
            if name in vocabulary or name in names[:index]:
                raise ValueError(f"the tokenizer already has a token {name!r}; choose another name")
        # Not normalised: a tokenizer that lower-cases would never find them again.
        tokens = [AddedToken(name, special=True, normalized=False) for name in names]
        self.tokenizer.add_tokens(tokens, special_tokens=True)
        ids = [int(self.tokenizer.convert_tokens_to_ids(name)) for name in names]
        contiguous_ids = list(range(self.vocab_size, self.vocab_size + len(names)))
        if ids != contiguous_ids:
            raise ValueError(
                f"the tokenizer numbers new tokens {ids}, not {contiguous_ids} as supported"
            )
        self.rows = append_rows(self.rows, self.embedding.weight[: self.first_new], len(names))
        if not self.tied:
            old = self._output.weight[: self.first_new]
            self.output_rows = append_rows(self.output_rows, old, len(names))
        self.new_count += len(names)
        self.template = self._template(self.stops)
        return ids

    def encode_text(self, text: str) -> list[int]:
        """The ids of a text that somebody typed; none of them is a special or an added token."""
        return self.template.encode_text(text)

    def encode_mark(self, text: str) -> list[int]:
        """The ids of a text that a part marks media by, which may name special tokens."""
        return self.template.encode_mark(text)

    def render_chat(
        self,
        messages: Sequence[tuple[str, Sequence[Piece]]],
        add_generation_prompt: bool,
        tools: Sequence[ToolDefinition] = (),
        calls: Sequence[Sequence[ToolCall]] = (),
    ) -> list[TemplateSegment]:
        """A conversation as token ids, see `ChatTemplate.render`."""
        return self.template.render(messages, add_generation_prompt, tools, calls)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens but those that tell calls of tools."""
        kept = self.template.call_marks
        has_calls = not kept.isdisjoint(ids)
        if has_calls:
            ids = [token for token in ids if token in kept or token not in self.template.unsaid]
        with locks.TOKENIZERS:
            text: str = self.tokenizer.decode(
                list(ids), skip_special_tokens=not has_calls, clean_up_tokenization_spaces=False
            )
        return text

    def embed(self, ids: Tensor | Sequence[int]) -> Tensor:
        """Input embeddings of ids (…) → (…, D), or of a list of them (T) → (T, D).

        Where deep layers are told of ids too, what they are told stands behind: (…, D · (1 + L)).
        """
        embedding = self.embedding
        plain = not isinstance(ids, Tensor) and all(token < self.first_new for token in ids)
        ids = torch.as_tensor(ids, dtype=torch.long, device=embedding.weight.device)
        if plain or not self.new_count:  # as every token of a text that is being written
            return self._with_marks(torch.as_tensor(embedding(ids)), ids)
        embeds = embed_new(embedding, self.rows, ids, self.first_new)
        return self._with_marks(embeds, ids.masked_fill(ids >= self.first_new, -1))

    def _with_marks(self, embeds: Tensor, ids: Tensor) -> Tensor:
        """Embeddings, and behind them what deep layers are told of their ids, -1 for new ones."""
        if self.family is None or not self._marks_ids:
            return embeds
        marks = self.family.id_marks(ids).to(embeds.dtype)
        return torch.cat([embeds, widen(marks, self.input_width - self.width)], -1)
