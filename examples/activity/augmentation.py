"""Movements as another person, or another pocket, would have made them."""

import torch
import torch.nn.functional as F


class VaryMovement:
    """Turns, stretches, strengthens and roughens windows (B, 6, 128), each by its own draw.

    Standard deviations: of the phone's tilt in radians, about any axis; of the logarithm of the
    movement's strength and of its pace; of the sensors' noise in m/s² and rad/s.
    """

    def __init__(self, tilt=0.1, strength=0.1, pace=0.1, noise=0.05):
        self.tilt, self.strength, self.pace, self.noise = tilt, strength, pace, noise

    def __call__(self, batch):
        return self.roughen(self.strengthen(self.stretch(self.turn(batch))))

    def turn(self, batch):
        """By one rotation for both sensors, as of a phone that sits otherwise."""
        axis = F.normalize(torch.randn(len(batch), 3, device=batch.device), dim=1)
        angle = self.tilt * torch.randn(len(batch), 1, device=batch.device)
        turns = torch.linalg.matrix_exp(
            torch.cross(
                (axis * angle)[:, None].expand(-1, 3, -1),
                torch.eye(3, device=batch.device).expand(len(batch), 3, 3),
                dim=-1,
            )
        ).to(batch.dtype)  # (B, 3, 3), from the axis's cross products with the three axes
        return torch.cat([turns @ batch[:, :3], turns @ batch[:, 3:]], 1)

    def stretch(self, batch):
        """In time about the middle; what is missing at the ends is mirrored."""
        last = batch.shape[-1] - 1
        pace = torch.exp(self.pace * torch.randn(len(batch), 1, device=batch.device))
        at = (torch.arange(last + 1, device=batch.device) - last / 2) * pace + last / 2
        at = (at.abs() - (at.abs() - last).clamp(min=0) * 2).clamp(0, last)
        low = at.long().clamp(max=last - 1)
        share = (at - low).to(batch.dtype)[:, None]
        low = low[:, None].expand_as(batch)
        return torch.lerp(batch.gather(2, low), batch.gather(2, low + 1), share)

    def strengthen(self, batch):
        """Of what moves, not of gravity; of both sensors apart."""
        mean = batch.mean(-1, keepdim=True)
        factor = torch.exp(self.strength * torch.randn(len(batch), 2, 1, device=batch.device))
        return mean + (batch - mean) * factor.repeat_interleave(3, 1).to(batch.dtype)

    def roughen(self, batch):
        """By noise, of up to this much."""
        amount = self.noise * torch.rand(len(batch), 1, 1, device=batch.device)
        return batch + amount.to(batch.dtype) * torch.randn_like(batch)
