"""Ask the nano model for pictures, sounds and clips, and save what it makes.

python examples/generate.py --out generated
"""

from __future__ import annotations

import argparse
from pathlib import Path

from anymodal import AnyModal, Message

CONVERSATIONS = (
    (
        "draw a small blue ball",
        "now make it green",  # edits the picture of the reply before
        "what does it sound like?",
    ),
    ("draw a big red car, play its sound and film it moving left",),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("generated"), help="for the media")
    parser.add_argument("--steps", type=int, help="denoising steps per medium")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = AnyModal.from_pretrained("nano")
    # Each kind of medium has settings of its own; what isn't given stays as the model has it.
    sampling = {name: {"steps": args.steps} for name in model.decoders} if args.steps else {}
    number = 0
    for texts in CONVERSATIONS:
        conversation: list[Message] = []
        for text in texts:
            number += 1
            conversation.append(Message("user", [text]))
            reply = model.chat(conversation, seed=number, sampling=sampling)
            conversation.append(reply)
            print(f"> {text}\n{reply.text}")
            for medium in reply.media:
                print(f"  {medium.save(args.out / f'{number}-{medium.kind}')}")


if __name__ == "__main__":
    main()
