"""Language models of published fusions: their tokens are numbers."""

from __future__ import annotations

import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers

TEMPLATE = "{% for m in messages %}{{ m.content }} {{ eos_token }} {% endfor %}"


def numbered_tokenizer(count: int) -> hf.PreTrainedTokenizerFast:
    """A tokenizer whose words are the numbers below a count; the last one ends a turn."""
    core = Tokenizer(models.WordLevel({str(i): i for i in range(count)}, unk_token="0"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=str(count - 1), chat_template=TEMPLATE
    )
