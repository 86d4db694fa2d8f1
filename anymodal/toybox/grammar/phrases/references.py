"""Words for media of a conversation, and questions about them."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

ORDINALS: Words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
KINDS_OF_MEDIA: dict[str, Words] = {
    "image": ("picture", "picture", "picture", "image", "pic"),
    "audio": ("sound", "sound", "sound", "audio", "recording"),
    "video": ("video", "video", "video", "clip", "vid"),
    "imu": ("movement", "movement", "motion recording"),
}
"""Nouns for a medium of each modality; the first names it in replies."""
MADE: dict[str, Words] = {
    "image": ("the {k} you drew", "the one you drew", "your drawing", "the {k} you made"),
    "audio": ("the {k} you played", "the one you played", "the {k} you made"),
    "video": ("the {k} you filmed", "the one you filmed", "the {k} you made"),
}
SENT: Words = (
    "the {k} i sent",
    "the {k} i gave you",
    "my {k}",
    "the {k} i sent you",
    "the {k} from me",
    "the one i sent",
)
