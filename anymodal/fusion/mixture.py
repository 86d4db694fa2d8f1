"""Sparse upcycling: a dense model's MLPs become experts, of which a router picks a few.

Sources: Komatsuzaki et al. 2023, arXiv:2212.05055, section 3; Lin et al. 2024 (MoE-LLaVA),
arXiv:2401.15947, sections 3.2 and 3.3; the routing is GShard's (Lepikhin et al. 2021,
arXiv:2006.16668, algorithm 1).

Shapes: S positions, E experts, D width of the language model's blocks.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from threading import get_ident
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anymodal.fusion.base import Fusion
from anymodal.fusion.modules import merged_copy
from anymodal.language.fused_media import FusionPass
from anymodal.language.model import LanguageModel

MLPS: Sequence[Sequence[str]] = (
    ["mlp"],
    ["ffn"],  # MPT
    ["feed_forward"],
    ["fc1", "activation_fn", "fc2"],  # in the block itself: OPT, XGLM, BioGPT
)
"""Where blocks of transformers have their MLPs: one part, or several one behind the other."""


class Routing(NamedTuple):
    """Shares of experts in positions' results (S, E), and how unevenly they are used.

    `balance` is E · Σ_e (share of positions whose first choice is e) · (mean probability of e),
    which is 1 where all are used alike (Fedus et al. 2022, arXiv:2101.03961, equation 4).
    """

    shares: Tensor
    balance: Tensor


def route(logits: Tensor, choices: int, capacity: int | None = None) -> Routing:
    """Let each position take its likeliest experts, by shares that sum to 1.

    Args:
        logits: of experts (S, E).
        choices: experts of a position.
        capacity: the most positions of an expert. First choices are served first, in order; then
            second ones, and so on. Whom no expert takes has nothing. None for no limit.
    """
    probabilities = logits.float().softmax(-1)
    left, used = logits.float(), torch.zeros_like(logits[0], dtype=torch.long)
    shares, balance = torch.zeros_like(probabilities), probabilities.new_zeros(())
    for choice in range(choices):
        taken = nn.functional.one_hot(left.argmax(-1), logits.shape[-1]).bool()  # (S, E)
        left = left.masked_fill(taken, -math.inf)
        if choice == 0:
            means = taken.float().mean(0) * probabilities.mean(0)
            balance = len(means) * means.sum()
        if capacity is not None:
            places = taken.long().cumsum(0) - 1 + used
            used = used + taken.sum(0)
            taken = taken & (places < capacity)
        shares = shares + probabilities * taken
    total = shares.sum(-1, keepdim=True).clamp(min=torch.finfo(shares.dtype).eps)
    return Routing(shares / total, balance)


class SparseUpcycling(Fusion):
    """In every n-th block, copies of its MLP, of which each position takes a few by a router.

    All copies start as the model's MLP, and so does the model, whatever the router says. It takes
    no media: soft tokens of a projection stand in the rows. The loss `balance` keeps experts in
    use.

    Args:
        widths: D_m of each modality.
        experts: E.
        choices: experts of a position.
        every: n; the first block is the first one that has experts.
        capacity: in training, the most positions of an expert, in parts of what it had if all were
            used alike; None for no limit. Answers never leave a position out, so that none depends
            on what it is computed with.
        mlp: the MLP's name in a block, or the names of the parts that it is made of, in order; None
            for the first of `MLPS` that a block has.

    Raises:
        ValueError: if there are fewer experts than choices; when it is attached, if blocks have no
            such parts, or their weights are quantised or a mixture's already.
    """

    takes_media = False
    reads_features = False

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        experts: int = 4,
        choices: int = 2,
        every: int = 2,
        capacity: float | None = 1.5,
        mlp: str | Sequence[str] | None = None,
    ) -> None:
        super().__init__(widths=widths)
        if not 1 <= choices <= experts:
            raise ValueError(f"choices={choices} must be at least 1 and at most experts={experts}")
        if every < 1 or (capacity is not None and capacity <= 0):
            raise ValueError(
                f"every={every} must be at least 1, and capacity={capacity} greater than 0"
            )
        self.num_experts, self.choices, self.every = experts, choices, every
        self.capacity = capacity
        self.mlp = [mlp] if isinstance(mlp, str) else None if mlp is None else list(mlp)
        self.experts, self.routers = nn.ModuleDict(), nn.ModuleDict()
        self._balances: dict[str, Tensor] = {}
        self._dense: dict[str, tuple[nn.Module, Sequence[str]]] = {}  # blocks, and their MLPs
        self._inputs: dict[tuple[str, int], Tensor] = {}  # of MLPs at work, by thread

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        width = self.block_width(language)
        for place in range(0, len(blocks), self.every):
            names = self._names(blocks[place])
            dense: Any = _mlp(blocks[place], names)
            if not all(weight.is_floating_point() for weight in dense.parameters()):
                raise ValueError("quantised weights can't be copied; leave out `quantize`")
            if any(weight.ndim > 2 for weight in dense.parameters()):
                raise ValueError(
                    f"the MLP of a {type(blocks[place]).__name__} is a mixture of experts already; "
                    "train that one, or name a part that is none by mlp="
                )
            copies = [merged_copy(dense) for _ in range(self.num_experts)]
            self._dense[str(place)] = blocks[place], names
            self.experts[str(place)] = nn.ModuleList(copies).requires_grad_(True)
            self.routers[str(place)] = nn.Linear(width, self.num_experts, bias=False)
            if len(names) == 1:  # in place of its own: its result would be thrown away
                dense.forward = partial(self._mix, str(place))
            else:
                self.before(dense[0], partial(self._take, str(place)))
                self.after(dense[-1], partial(self._give, str(place)))

    def _names(self, block: nn.Module) -> Sequence[str]:
        """The names of the parts of a block's MLP.

        Raises:
            ValueError: if it has none of these.
        """
        parts = dict(block.named_children())
        known = MLPS if self.mlp is None else [self.mlp]
        for names in known:
            if parts.keys() >= {*names}:
                return names
        missing = " or ".join(" → ".join(names) for names in known)
        raise ValueError(
            f"a {type(block).__name__} has no part {missing}; name its MLP by mlp=, of "
            f"{', '.join(parts)}"
        )

    def _take(self, place: str, hidden: Tensor) -> Tensor:
        """Keep the input of an MLP in several parts, through which no position goes then."""
        self._inputs[place, get_ident()] = hidden
        return hidden[:0]

    def _give(self, place: str, _value: Tensor, _result: Tensor) -> Tensor:
        """The experts' result in place of the last part's."""
        return self._mix(place, self._inputs.pop((place, get_ident())))

    def copy_again(self) -> None:
        for place, (block, names) in self._dense.items():
            state = merged_copy(_mlp(block, names)).state_dict()
            for expert in self.experts[place].children():
                expert.load_state_dict(state)

    def _begin(self, current: FusionPass) -> None:
        super()._begin(current)
        self._balances = {}

    def _mix(self, place: str, hidden: Tensor, residual: Tensor | None = None) -> Tensor:
        """Output of the experts for hidden states (…, D).

        Args:
            place: of the block.
            hidden: the MLP's input.
            residual: what it adds to its result itself, if anything (BLOOM, MPT).
        """
        states = hidden.reshape(-1, hidden.shape[-1])  # (S, D)
        router, experts = self.routers[place], self.experts[place]
        assert isinstance(router, nn.Linear) and isinstance(experts, nn.ModuleList)
        logits = nn.functional.linear(states.float(), router.weight.float())
        limit = None
        if self.training and self.capacity is not None:
            limit = math.ceil(len(states) * self.choices * self.capacity / self.num_experts)
        shares, balance = route(logits, self.choices, limit)
        if self.training:
            self._balances[place] = balance
        output = torch.zeros_like(states)
        for number, expert in enumerate(experts):
            rows = shares[:, number].nonzero()[:, 0]
            inputs = states[rows]
            own = expert(inputs) if residual is None else expert(inputs, torch.zeros_like(inputs))
            mine = own * shares[rows, number, None].to(states.dtype)
            output = output.index_add(0, rows, mine.to(output.dtype))
        mixed = output.view_as(hidden)
        return mixed if residual is None else residual + mixed

    def penalty(self) -> Tensor | None:
        return sum(self._balances.values(), torch.zeros(())) if self._balances else None


def _mlp(block: nn.Module, names: Sequence[str]) -> nn.Module:
    """A block's MLP: a part of it, or several one behind the other, as they are called now."""
    parts = [(name, block.get_submodule(name)) for name in names]
    return parts[0][1] if len(parts) == 1 else nn.Sequential(OrderedDict(parts))
