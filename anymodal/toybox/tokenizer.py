"""A byte-level BPE tokenizer trained from scratch, with a chat template."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
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

_REPLACEMENTS = (
    (r"[\p{Cf}\p{Mn}\p{Me}]", ""),  # marks, joiners, selectors of emoji
    (r"[‘’‛′`´]", "'"),
    (r"[‐‑‒–—―−]", "-"),
    (r"(?:^|(?<=\s))(?:[:;=]-?[)(dp/]|<3|xd)(?=\s|$)", " "),  # faces in letters
    (r"[\"“”„‟«»″*_~^#]|[\p{So}\p{Sk}\p{Co}]", " "),  # quotes, emphasis, emoji
    (r"[\s\p{Cc}]+", " "),
    (r"!+", "!"),
    (r"\.{2,}", "."),
    (r"[?!.]*\?[?!. ]*", "? "),
    (r" (?=[,.!?;:])", ""),
    (r"^[ ,.!;]+|[ ,.!;]+$", ""),
)


def plain_text_normalizer() -> normalizers.Normalizer:
    """One form for all ways to type the same words: for a model that talks with everybody.

    Letters are lower-case and have no marks, forms of width are one (NFKC), quotes and emoji are
    gone, spaces are single, and full stops at the end are left out; a question mark stays. What
    such a tokenizer decodes has this form too.
    """
    forms = [normalizers.NFKD(), normalizers.StripAccents(), normalizers.NFC()]
    replaced = [normalizers.Replace(Regex(pattern), text) for pattern, text in _REPLACEMENTS]
    return normalizers.Sequence([*forms, normalizers.Lowercase(), *replaced])


def train_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    *,
    chat_template: str | None = CHAT_TEMPLATE,
    append_end: bool = False,
    normalizer: normalizers.Normalizer | None = None,
) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE tokenizer: any text has ids, and ids give the text back exactly.

    Digits stand alone, letters keep their case unless a normalizer changes it, and there is no
    unknown token. Pad is `<|pad|>`, end of sequence is `<|end|>`, whose id is the largest.

    Source: Sennrich et al. 2016 (BPE); Radford et al. 2019, section 2.2 (on bytes).

    Args:
        texts: what to learn merges from.
        vocab_size: the most ids in all, special ones included; few texts give fewer.
        chat_template: how a conversation is written; None for a tokenizer without one.
        append_end: close every encoded text with `<|end|>` (for a text encoder) unless the call
            says `add_special_tokens=False`. A language model wants it off.
        normalizer: what is done to every text first, such as `plain_text_normalizer()`; special
            tokens are found before.

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
    if normalizer is not None:
        core.normalizer = normalizer
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
    # Found in the text as it is typed, so that a normalizer can't change them.
    core.add_special_tokens([AddedToken(name, normalized=False) for name in SPECIALS])
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
