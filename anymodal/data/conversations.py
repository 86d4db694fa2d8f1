"""Conversations and captions about media, as LLaVA, NExT-GPT and others publish them."""

from __future__ import annotations

from anymodal.data.containers import Row
from anymodal.data.entries import EntryReader
from anymodal.data.row_samples import RowSamples
from anymodal.types import Message


class Conversations(RowSamples[list[Message]]):
    """Samples of a data set, whose rows are of these kinds, where M is a kind of media.

    - captions: `{"caption": …, "M_name": file}` (NExT-GPT), `{"caption": …, "M": file}`, and
      `text` in a folder's table
    - labels: `{"label": …, "M": file}`, and transcripts: `{"transcription": …, "M": file}`
    - about media: `{"M": file, "conversations": [{"from": "human", "value": "<M>\\nWhat …?"},
      {"from": "gpt", "value": …}]}` (LLaVA, Qwen-VL), `"input_M"` (NExT-GPT); `{"Ms": [file, …],
      "messages": [{"role": "user", "content": "<M>What …?"}, …]}` (LLaMA-Factory, ms-swift), where
      `content` may be a list of parts, `{"type": "text", "text": …}` and `{"type": "M"}` for the
      next of them or one that holds its own, as `messages.conversation_of` reads it. Turns of tools
      are texts, `loss: false` (or OpenAI's `weight: 0`) keeps a reply from being learned, and
      `objects` fill `<ref-object>` and `<bbox>`. Of `Ms` with as many marks in all turns, those in
      replies are made; where nothing is asked, each text is learned after the media before it
    - pairs: `{"texts": [{"user": …, "assistant": …}], "Ms": [file]}` (The Cauldron)
    - one request and its reply: `instruction`, `input` and `output` (Alpaca), `query` and
      `response` with `history`, or `question` and `answer`, with media as above
    - asking for them: `{"output_M": file, "M_captions": […], "conversations": […]}`, with `<M>`
      where the reply has one; without files where captions are enough (T2M), which a turn may tell
      itself: `{"from": "gpt", "value": …, "output_modality": "M", "caption": …}`; and edits
    - both: `{"M_list": [{"M_name": file, "caption": …}], "conversation": […]}` (MosIT), with `<M>`
      for the next of them, or `<M>file</M>`
    - documents: `text_list` and `M_info` (MMC4), or `texts` and `Ms` (OBELICS)

    A `system` beside the turns is said first. Each `<M>` takes the next file or caption, in what is
    asked of what is shown, in a reply of what is made, and they must agree in number; in a reply
    `<M>` is text where nothing of its kind is to be made. A single file that no turn has is shown
    with the first one, and `<image>` at an end of what is asked stands for another kind of file
    too, as LLaVA has it. Every key is read, tells of the entry alone (`id`, `source`, `width` and
    such), has nothing in it, is listed in `ignore`, or is refused. Files of media are looked for
    when a sample is read, and decoded when their content is first looked at (`Media.defer`).

    See `RowSamples` for the arguments.
    """

    def sample(self, entry: Row, reader: EntryReader) -> list[Message]:
        messages = reader.read(entry)
        replies = [each for each in messages if each.role == "assistant" and each.supervised]
        # A rejected reply may be empty, and a transcript of silence is.
        if "transcription" not in entry and not any(map(_says_something, replies)):
            raise ValueError("the conversation's replies are empty; there is nothing to learn from")
        return messages


def _says_something(message: Message) -> bool:
    return any(not isinstance(part, str) or part.strip() for part in message.content)
