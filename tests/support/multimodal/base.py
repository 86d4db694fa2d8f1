"""The description of a tiny multimodal language model, and sizes that several have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anymodal.types import Message

SMALL_TEXT: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 400,
    "initializer_range": 0.3,
}
SIGLIP: dict[str, Any] = {
    **{"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
    **{"num_attention_heads": 2, "image_size": 16, "patch_size": 4},
    "initializer_range": 0.3,
}
FRAMES = {"size": {"height": 16, "width": 16}, "num_frames": 3}


@dataclass(frozen=True)
class MultimodalModel:
    """A family of multimodal language models.

    Args:
        label: what readers call it.
        model: transformers' class.
        tokenizer: builds its tokenizer.
        text: its text configuration, beside the small sizes.
        vision: its tower's.
        ids: special ids of its configuration.
        files: further files of its checkpoint.
        config: more of its configuration.
        reads: kinds of media that it reads by itself.
        own: pictures as transformers' processor of it gives them: what stands for each in a text,
            and the model's inputs.
        mark: what stands for a picture in the chat template.
        types: the soft token that the model is told the places of.
        finish: completes the inputs by their ids.
        rowless: tokens at the vocabulary's end that the output layer has no rows for.
        is_exact: whether results are the own class's to the bit.
        build: gives its configuration of the text's, where that isn't apart from the whole.
    """

    label: str
    model: Any
    tokenizer: Callable[[], Any]
    text: dict[str, Any]
    vision: dict[str, Any]
    ids: Callable[[Any], dict[str, int]]
    files: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    reads: tuple[str, ...] = ("image",)
    own: Callable[[list[Any]], tuple[list[str], dict[str, Any]]] = lambda _: ([], {})
    mark: str = "<|image_pad|>"
    types: str = ""
    finish: Callable[[Tensor, dict[str, Any]], dict[str, Any]] = lambda _, inputs: inputs
    rowless: int = 0
    is_exact: bool = True
    build: Callable[[MultimodalModel, dict[str, Any], Any], Any] | None = None

    def inputs(self, tokenizer: Any, messages: Sequence[Message]) -> dict[str, Tensor]:
        """The inputs of transformers' own class for a conversation with pictures."""
        parts = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                    for part in message.content
                ],
            }
            for message in messages
        ]
        text = tokenizer.apply_chat_template(parts, tokenize=False, add_generation_prompt=True)
        media = [part.pixels for message in messages for part in message.media]
        marks, inputs = self.own(media) if media else ([], {})
        pieces = text.split(self.mark)
        text = pieces[0] + "".join(
            mark + rest for mark, rest in zip(marks, pieces[1:], strict=True)
        )
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
        if "image_grid_thw" in inputs and "video" in self.reads and "audio" not in self.reads:
            token = tokenizer.convert_tokens_to_ids(self.mark)
            inputs = {**inputs, "mm_token_type_ids": (ids == token).long()}
        if inputs and self.types:
            token = tokenizer.convert_tokens_to_ids(self.types)
            inputs = {**inputs, "token_type_ids": (ids == token).long()}
        inputs = self.finish(ids, inputs)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **inputs}

    @property
    def model_type(self) -> str:
        """The name of its architecture."""
        return str(self.model.config_class.model_type)

    def write(self, folder: Path) -> None:
        """Save a new model, its tokenizer and its processors' settings."""
        torch.manual_seed(0)
        tokenizer = self.tokenizer()
        size = int(max(tokenizer.get_vocab().values())) + 1 - self.rowless
        ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
        text = {**SMALL_TEXT, "vocab_size": size, "pad_token_id": None, **ends, **self.text}
        if text.get("hidden_size_per_layer_input"):
            text["vocab_size_per_layer_input"] = size
        model = self.model(self._config(text, tokenizer)).eval()
        for name, weight in model.named_parameters():
            if weight.numel() == 1 and "gate" in name:
                weight.data.fill_(0.7)  # closed at first, so that nothing behind it would show
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for name, value in self.files.items():
            (folder / name).write_text(json.dumps(value), "utf-8")

    def _config(self, text: dict[str, Any], tokenizer: Any) -> Any:
        if self.build is not None:
            return self.build(self, text, tokenizer)
        return self.model.config_class(
            text_config=text, vision_config=self.vision, **self.ids(tokenizer), **self.config
        )
