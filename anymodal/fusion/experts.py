"""Experts for media: second copies of a block's weights, through which media's positions go.

Sources: Wang et al. 2023 (CogVLM), arXiv:2311.03079, section 2.1; Ye et al. 2023 (mPLUG-Owl2),
arXiv:2311.04257, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from anymodal.fusion.base import Fusion
from anymodal.fusion.modules import merged_copy, weighted_modules, without_adapters
from anymodal.language.model import LanguageModel


class ModalityExperts(Fusion):
    """Each block's chosen modules have a copy of their own for positions of media.

    The copies start as the model's weights, so that it starts as it is; texts never go through
    them, and stay as they are to the bit, those that mark a part of a medium too. Attention is
    among all positions. What stands in media's positions are a projection's soft tokens; media that
    the language model reads by itself go the text's way, unless it has no other ones.

    CogVLM has copies of all linear layers, and its last position of an image goes the text's way.
    mPLUG-Owl2 has them of keys, values and norms: `modules: ["*k_proj", "*v_proj", "*layernorm"]`,
    `without_last: false`.

    Args:
        widths: D_m of each modality.
        modules: globs over the names of modules in a block; None for all linear layers.
        biased: globs of those whose copy has a bias where the model's has none, from zeros, as
            CogVLM2's keys and values.
        without_last: whether the last of a medium's positions that follow one another goes the
            text's way.

    Raises:
        ValueError: when it is attached, if a glob matches no module, weights are quantised, or all
            linear layers are asked for and the MLPs are a mixture's.
    """

    takes_media = False
    reads_features = False

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        modules: Sequence[str] | None = None,
        biased: Sequence[str] = (),
        without_last: bool = True,
    ) -> None:
        super().__init__(widths=widths)
        self.modules_matched = None if modules is None else list(modules)
        self.biased, self.without_last = list(biased), without_last
        self.experts = nn.ModuleDict()
        self._copies: list[tuple[nn.Module, nn.Module]] = []

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        for place, block in enumerate(blocks):
            experts = nn.ModuleDict()
            for name, module in self._chosen(block):
                expert = _copy_of(module, any(fnmatchcase(name, glob) for glob in self.biased))
                experts[name.replace(".", "_")] = expert
                self._copies.append((expert, module))
                self.after(module, partial(self._route, expert))
            self.experts[str(place)] = experts

    def copy_again(self) -> None:
        for expert, source in self._copies:
            expert.load_state_dict(merged_copy(source).state_dict(), strict=False)

    def _chosen(self, block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        """The modules that get a copy, by their names in the block."""
        leaves = dict(weighted_modules(block))
        if self.modules_matched is None:
            if any(weight.ndim > 2 and "conv" not in n for n, weight in block.named_parameters()):
                raise ValueError(
                    f"the MLP of a {type(block).__name__} is a mixture of experts already, whose "
                    "weights are no linear layers; name those that get a copy, as modules: "
                    f'["self_attn.*_proj"], of {", ".join(leaves)}'
                )
            yield from ((n, m) for n, m in leaves.items() if without_adapters(m).weight.ndim == 2)
            return
        for glob in self.modules_matched:
            matches = [name for name in leaves if fnmatchcase(name, glob)]
            if not matches:
                raise ValueError(
                    f"modules: {glob!r} matches nothing in a {type(block).__name__}, which has "
                    f"{', '.join(leaves)}"
                )
        for name, module in leaves.items():
            if any(fnmatchcase(name, glob) for glob in self.modules_matched):
                yield name, module

    def _route(self, expert: nn.Module, value: Tensor, result: Tensor) -> Tensor:
        """A module's result, with the expert's in media's positions."""
        current = self.current
        if (inside := current.inside(self.without_last)) is None:
            return result
        assert current.media is not None, "some positions are a medium's own"
        shape = len(current.media.rows), current.places.shape[1]
        index = _index(value, shape, inside)
        own = expert(value[index])
        if not isinstance(own, Tensor):
            raise ValueError(
                f"a {type(expert).__name__} gives more than one tensor, as a router does, and "
                "has no copy for media; leave it out of modules"
            )
        return result.index_put(index, own.to(result.dtype))


def _index(
    value: Tensor, shape: tuple[int, int], inside: tuple[Tensor, Tensor]
) -> tuple[Tensor, ...]:
    """The index of positions in what a module takes.

    Args:
        value: (B, T, …), of heads apart (B, H, T, d), or (B · T, D).
        shape: B and T.
        inside: rows and columns of the positions (n,).

    Raises:
        ValueError: for anything else, as the positions that a router sends to one of its experts.
    """
    rows, columns = inside
    if value.ndim == 2 and len(value) == math.prod(shape):
        return (rows * shape[1] + columns,)
    is_by_position, is_by_head = value.shape[:2] == shape, False
    if value.ndim == 4 and (value.shape[0], value.shape[2]) == shape:
        # Where heads are as many as positions: heads part what a linear layer gave of a position.
        is_by_head = not is_by_position or value.stride(1) < value.stride(2)
    if is_by_head:
        heads = torch.arange(value.shape[1], device=value.device)
        return rows[:, None], heads[None], columns[:, None]  # (n, H) together
    if is_by_position:
        return rows, columns
    raise ValueError(
        f"a module with a copy for media takes {tuple(value.shape)}, which are no {shape[0]} rows "
        f"of {shape[1]} positions; leave it out of modules"
    )


def _copy_of(module: nn.Module, biased: bool) -> nn.Module:
    """A copy that trains, without adapters, hooks or quantisation.

    Raises:
        ValueError: for quantised weights.
    """
    base = without_adapters(module)
    if not base.weight.is_floating_point():
        raise ValueError(
            "quantised weights can't be copied for an expert; open the model without `quantize`"
        )
    expert: Any = merged_copy(module)
    if biased and expert.bias is None:
        expert.bias = nn.Parameter(torch.zeros_like(base.weight[:, 0]))
    expert.requires_grad_(True)
    return cast(nn.Module, expert)
