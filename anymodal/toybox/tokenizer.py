"""A byte-level BPE tokenizer trained from scratch, with a chat template."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, END = "<|pad|>", "<|end|>"
# Specials follow the learned vocabulary and END comes last of all: a text encoder that pools at
# the largest id of a row (CLIP's way) then pools at the end of the text.
SPECIALS = (PAD, "<|system|>", "<|user|>", "<|assistant|>", END)

# One token opens a message, one closes it.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('unknown role ' + message.role) }}"
    "{% endif %}"
    "{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    *,
    chat_template: str | None = CHAT_TEMPLATE,
    append_end: bool = False,
) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE tokenizer: any text has ids, and ids give the text back exactly.

    Digits stand alone, letters keep their case, and there is no unknown token. Pad is `<|pad|>`,
    end of sequence is `<|end|>`, whose id is the largest.

    Source: Sennrich et al. 2016 (BPE); Radford et al. 2019, section 2.2 (on bytes).

    Args:
        texts: what to learn merges from.
        vocab_size: the most ids in all, special ones included; few texts give fewer.
        chat_template: how a conversation is written; None for a tokenizer without one.
        append_end: close every encoded text with `<|end|>` (for a text encoder) unless the call
            says `add_special_tokens=False`. A language model wants it off.

    Raises:
        ValueError: if `vocab_size` has no room for the 256 bytes and the special tokens.
    """
    least = 256 + len(SPECIALS)
    if vocab_size < least:
        raise ValueError(
            f"vocab_size={vocab_size} is below {least}, the 256 bytes and {len(SPECIALS)} special "
            f"tokens; give at least {least}"
        )
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    core.add_special_tokens(list(SPECIALS))
    if append_end:
        core.post_processor = processors.TemplateProcessing(
            single=f"$A {END}",
            pair=f"$A {END} $B:1 {END}:1",
            special_tokens=[(END, core.token_to_id(END))],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=list(SPECIALS[1:-1]),
        clean_up_tokenization_spaces=False,
        chat_template=chat_template,
    )
