"""Sparse upcycling: a dense model's MLPs become experts, of which a router picks a few.

Sources: Komatsuzaki et al. 2023, arXiv:2212.05055, section 3; Lin et al. 2024 (MoE-LLaVA),
arXiv:2401.15947, sections 3.2 and 3.3; the routing is GShard's (Lepikhin et al. 2021,
arXiv:2006.16668, algorithm 1).

Shapes: S positions, E experts, D width of the language model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anymodal.fusion.base import Fusion
from anymodal.fusion.modules import merged_copy
from anymodal.language.fused_media import FusionPass
from anymodal.language.model import LanguageModel


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
        mlp: the MLP's name in a block.

    Raises:
        ValueError: if there are fewer experts than choices; when it is attached, if blocks have no
            such part, or its weights are quantised.
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
        mlp: str = "mlp",
    ) -> None:
        super().__init__(widths=widths)
        if not 1 <= choices <= experts:
            raise ValueError(f"choices={choices} must be at least 1 and at most experts={experts}")
        if every < 1 or (capacity is not None and capacity <= 0):
            raise ValueError(
                f"every={every} must be at least 1, and capacity={capacity} greater than 0"
            )
        self.num_experts, self.choices, self.every = experts, choices, every
        self.capacity, self.mlp = capacity, mlp
        self.experts, self.routers = nn.ModuleDict(), nn.ModuleDict()
        self._balances: dict[str, Tensor] = {}
        self._dense: dict[str, nn.Module] = {}

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        for place in range(0, len(blocks), self.every):
            dense: Any = getattr(blocks[place], self.mlp, None)
            if dense is None:
                raise ValueError(
                    f"a {type(blocks[place]).__name__} has no part {self.mlp!r}; name its MLP by "
                    f"mlp=, of {', '.join(name for name, _ in blocks[place].named_children())}"
                )
            if not all(weight.is_floating_point() for weight in dense.parameters()):
                raise ValueError("quantised weights can't be copied; leave out `quantize`")
            copies = [merged_copy(dense) for _ in range(self.num_experts)]
            self._dense[str(place)] = dense
            self.experts[str(place)] = nn.ModuleList(copies).requires_grad_(True)
            self.routers[str(place)] = nn.Linear(language.width, self.num_experts, bias=False)
            # In place of its own: its result would be thrown away.
            dense.forward = partial(self._mix, str(place))

    def copy_again(self) -> None:
        for place, dense in self._dense.items():
            state = merged_copy(dense).state_dict()
            for expert in self.experts[place].children():
                expert.load_state_dict(state)

    def _begin(self, current: FusionPass) -> None:
        super()._begin(current)
        self._balances = {}

    def _mix(self, place: str, hidden: Tensor) -> Tensor:
        """Output of the experts for hidden states (…, D)."""
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
            mine = expert(states[rows]) * shares[rows, number, None].to(states.dtype)
            output = output.index_add(0, rows, mine.to(output.dtype))
        return output.view_as(hidden)

    def penalty(self) -> Tensor | None:
        return sum(self._balances.values(), torch.zeros(())) if self._balances else None
