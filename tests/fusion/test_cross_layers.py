"""A layer of cross-attention gives what transformers' own of Llama 3.2 Vision gives."""

from __future__ import annotations

import torch
import transformers as hf
from transformers.models.mllama.modeling_mllama import MllamaCrossAttentionDecoderLayer

from anymodal.fusion.cross_layers import CrossLayer
from anymodal.language.fused_media import FusedMedia, FusedMedium, FusionPass


@torch.no_grad()
def test_layer_is_that_of_transformers() -> None:
    torch.manual_seed(0)
    config = hf.MllamaTextConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        cross_attention_layers=[1],
        pad_token_id=0,
    )
    config._attn_implementation = "eager"
    theirs = MllamaCrossAttentionDecoderLayer(config, 1).eval()
    for weight in theirs.parameters():
        weight += 0.3 * torch.randn_like(weight)
    ours = CrossLayer(16, config)
    ours.load_state_dict(theirs.state_dict())
    hidden, states = torch.randn(2, 7, 16), torch.randn(2, 2, 3, 16)
    starts = [[1, 4], [0, 5]]
    rows = [
        [FusedMedium(place, states[row, number]) for number, place in enumerate(places)]
        for row, places in enumerate(starts)
    ]
    places = torch.arange(7)[None]
    current = FusionPass(FusedMedia(rows, torch.device("cpu")), places, torch.zeros_like(places))
    visible = current.visible(latest=False).repeat_interleave(3, -1)  # (B, T, M · N)
    sees = visible.any(-1, keepdim=True)
    mask = torch.zeros(visible.shape).masked_fill(~visible & sees, torch.finfo(torch.float32).min)
    expected = theirs(
        hidden,
        cross_attention_states=states.flatten(1, 2),
        cross_attention_mask=mask.unsqueeze(1),
        attention_mask=None,
        full_text_row_masked_out_mask=sees.float().unsqueeze(1),
    )
    expected = expected[0] if isinstance(expected, tuple) else expected
    output = ours(hidden, current)
    rows_seeing = sees[..., 0]
    torch.testing.assert_close(output[rows_seeing], expected[rows_seeing], atol=1e-5, rtol=1e-4)
    assert torch.equal(output[~rows_seeing], hidden[~rows_seeing])
