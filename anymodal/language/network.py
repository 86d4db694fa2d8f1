"""The network of a language model: its two ends, its blocks, and what is put around these."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from anymodal.language.families.base import MediaReader, MultimodalFamily
from anymodal.language.fused_media import FusionPass
from anymodal.language.lora import LoraSettings, inject_lora, merge_lora
from anymodal.language.probes import backbone_of
from anymodal.media import Media


class LanguageNetwork(nn.Module):
    """A causal language model of transformers, with adapters and a fusion around its layers.

    Attributes:
        model: the model itself.
        family: the one that it is of, where it reads media by itself.
        readers: what reads them, by class of media.
        lora: settings of its adapters; None without any.
    """

    model: PreTrainedModel
    family: MultimodalFamily | None
    readers: Mapping[type[Media], MediaReader]
    lora: LoraSettings | None

    def __init__(self) -> None:
        super().__init__()
        self._begin_pass: Callable[[FusionPass], None] | None = None
        self._penalty: Callable[[], Tensor | None] | None = None
        self._shares_rows = self._merges = True

    # Looked up once: transformers searches for them at each call, which a token of a reply feels.
    # Outside torch's registry, where what stands twice would be saved twice.
    @cached_property
    def embedding(self) -> nn.Embedding:
        """The model's own input embedding."""
        embedding: nn.Embedding = self.model.get_input_embeddings()
        return embedding

    @cached_property
    def _output(self) -> nn.Linear:
        output: nn.Linear = self.model.get_output_embeddings()
        return output

    @cached_property
    def backbone(self) -> nn.Module:
        """The model without its output layer."""
        return backbone_of(self.model)

    @property
    def embedding_scale(self) -> float:
        """The root mean square of `embed` of the model's own ids; 1 on the meta device."""
        if self.embedding.weight.is_meta:
            return 1.0
        size = float(self.embedding.weight.detach().float().square().mean().sqrt())
        return size * float(getattr(self.embedding, "embed_scale", 1.0))

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers that every forward pass runs one after the other."""
        # What reads media may stand within the backbone (Phi-4-multimodal).
        towers = (module for reader in self.readers.values() for module in reader.modules)
        inside = {id(part) for tower in towers for part in tower.modules()}
        lists = (
            part
            for part in self.backbone.modules()
            if isinstance(part, nn.ModuleList) and id(part) not in inside
        )
        return list(next(lists, ()))

    @property
    def device(self) -> torch.device:
        """The device of the embeddings."""
        return torch.device(self.embedding.weight.device)

    @property
    def max_positions(self) -> int | None:
        """The longest sequence that the model was made for, where it has a limit."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return int(limit) if limit else None

    @contextlib.contextmanager
    def _in_eval_mode(self) -> Iterator[None]:
        """A block in which nothing is dropped at random."""
        training = [module for module in self.modules() if module.training]
        self.eval()
        try:
            yield
        finally:
            for module in training:
                module.training = True

    @property
    def reads_across(self) -> bool:
        """Whether blocks of the model's own read media by cross-attention."""
        return self.family is not None and self.family.reads_across and bool(self.readers)

    @property
    def is_fused(self) -> bool:
        """Whether modules of a fusion stand around its blocks."""
        return self._begin_pass is not None

    def check_unfused(self) -> None:
        """Raise ValueError if a fusion stands around it."""
        if self.is_fused:
            raise ValueError("a fusion stands around this language model already; open another")

    def set_fusion(
        self,
        begin: Callable[[FusionPass], None],
        packs: bool,
        penalty: Callable[[], Tensor | None],
        merges: bool = True,
    ) -> None:
        """Let modules around the blocks know of each pass; `Fusion.attach` does.

        Args:
            begin: called before each pass.
            packs: whether the modules tell apart several sequences in a row.
            penalty: what the last pass adds to a loss, if anything.
            merges: whether they compute the same when adapters are merged.

        Raises:
            ValueError: if a fusion stands around it already.
        """
        self.check_unfused()
        self._begin_pass, self._shares_rows, self._penalty = begin, packs, penalty
        self._merges = merges
        self.__dict__.pop("packs", None)

    def fusion_penalty(self) -> Tensor | None:
        """The term that the fusion's last pass adds to a loss; None for nothing."""
        return None if self._penalty is None else self._penalty()

    def enable_lora(
        self,
        r: int = 16,
        alpha: int = 32,
        dropout: float = 0.05,
        target_modules: str | Sequence[str] = "all-linear",
    ) -> None:
        """Put low-rank adapters on linear layers, all but the output layer by default, and none of
        what reads media.

        A mixture of experts has them on its attention; experts and router stay as they are.

        Source: Hu et al. 2021 (LoRA), section 4.1. Only the adapters train afterwards, not the
        model; their parameters are named `lora_A`, `lora_B`.

        Raises:
            ValueError: if the model has adapters, or no module has such a name.
        """
        if hasattr(self.model, "peft_config"):
            raise ValueError("the language model has LoRA adapters already; enable them once")
        part = None if self.family is None else self.backbone
        towers = [module for reader in self.readers.values() for module in reader.modules]
        targets = inject_lora(
            self.model, self._output, r, alpha, dropout, target_modules, part, towers
        )
        self._look_again()
        self.lora = {"r": r, "alpha": alpha, "dropout": dropout, "target_modules": targets}

    def merge_adapters(self) -> None:
        """Add the adapters to the weights they adapt, and leave a plain model.

        Raises:
            ValueError: if those weights are quantised, in which most of what adapters learned would
                be rounded away, or a fusion reads them without the adapters.
        """
        if self.lora is not None and not self._merges:
            raise ValueError(
                "adapters can't be merged here: the fusion maps its prompts by the weights without "
                "them, and would compute something else; keep the adapters"
            )
        if self.lora is not None and getattr(self.model, "is_quantized", False):
            raise ValueError(
                "adapters can't be merged into quantised weights; open the model with the language "
                "part's `quantize` left out, and merge then"
            )
        merge_lora(self.model)
        self.lora = None
        self._look_again()

    def _look_again(self) -> None:
        """For the two ends of the model, where adapters come to stand in their places or leave."""
        for name in ("embedding", "_output", "backbone"):
            self.__dict__.pop(name, None)
