"""Words that name one of a conversation's media: by place, number, author, content or deed."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

LAST: Words = (
    "the last one",
    "the last one",
    "the latest one",
    "the latest",
    "the newest one",
    "the most recent one",
    "the final one",
    "the one at the end",
)
BEFORE_LAST: Words = ("the one before", "the previous one", "the one before that", "the last but one", "the one before last", "the second to last", "the second last one", "the next to last one", "the penultimate one", "the preceding one", "the one just before that", "the one right before")  # fmt: skip
BY_PLACE: dict[str, Words] = {
    "first": ("the very first one", "the very first {k}", "the earliest one", "the earliest {k}", "the oldest one", "the oldest {k}", "the initial {k}", "the initial one", "the {k} from the start", "the {k} at the beginning", "the one from the start", "the first {k} of all", "the first of the lot", "the first of them", "the {k} that came first"),
    "last": ("the very last one", "the very last {k}", "the latest {k}", "the newest {k}", "the most recent {k}", "the latest one", "the newest one", "the final {k}", "the last of them", "the {k} that came last", "the {k} at the end"),
    "before": ("the one before last", "the {k} before last", "the last {k} but one", "the second to last {k}", "the second to last", "the next to last {k}", "the one before the last"),
    "middle": ("the middle one", "the middle {k}", "the one in the middle", "the {k} in the middle", "the central one", "the {k} between the others", "the one in between"),
}  # fmt: skip
"""Places among others; {k} is a noun for the kind."""
BY_NUMBER: dict[str, Words] = {
    "all": ("#{n}", "#{n}", "no. {n}", "no {n}", "nr {n}", "number {n}", "number {n}", "item {n}", "item #{n}", "num {n}", "file {n}", "thing {n}", "({n})", "output {n}"),
    "image": ("img {n}", "img {n}", "img #{n}", "image {n}", "image #{n}", "pic {n}", "pic {n}", "pic #{n}", "picture {n}", "picture no. {n}", "picture number {n}", "pic no {n}", "photo {n}", "photo no. {n}"),
    "audio": ("sound {n}", "sound {n}", "sound #{n}", "audio {n}", "audio #{n}", "track {n}", "track {n}", "track #{n}", "sound number {n}", "sound no. {n}", "recording {n}", "noise {n}"),
    "video": ("vid {n}", "vid {n}", "vid #{n}", "video {n}", "video #{n}", "clip {n}", "clip {n}", "clip #{n}", "video number {n}", "film {n}", "film no. {n}", "movie {n}", "clip no {n}"),
    "imu": ("movement {n}", "movement #{n}", "imu {n}", "motion recording {n}", "movement number {n}", "movement no. {n}"),
}  # fmt: skip
"""Numbers among all, or among those of a kind."""
SENT_PLACES: Words = (
    "my {o} {k}", "my {o} {k}", "the {o} {k} i sent", "the {o} {k} i sent you", "the {o} {k} i gave you", "the {o} {k} from me", "the {o} {k} i uploaded", "the {o} {k} i attached", "the {o} of my {k}s", "the {o} {k} of mine", "the {k} that i sent {o}", "the {k} i uploaded {o}",
    "my {o} upload", "my {o} attachment", "my {o} file", "the {o} file i sent", "the {o} thing i sent", "the {o} one i sent", "the {o} of mine", "the {o} of my files", "the {o} of my uploads", "the {o} thing i gave you", "the {o} one from me", "the {o} attachment", "the {o} upload",
)  # fmt: skip
"""Places among what the user sent."""
MADE_PLACES: dict[str, Words] = {
    "image": ("your {o} {k}", "your {o} {k}", "your {o} drawing", "the {o} {k} you drew", "the {o} {k} you made", "the {o} {k} from you", "the {o} {k} you gave me", "the {o} of your {k}s", "the {k} you drew {o}", "the {k} you made {o}", "the {o} {k} of yours"),
    "audio": ("your {o} {k}", "your {o} {k}", "the {o} {k} you played", "the {o} {k} you made", "the {o} {k} from you", "the {o} {k} you gave me", "the {o} of your {k}s", "the {k} you played {o}", "the {k} you made {o}", "the {o} {k} of yours"),
    "video": ("your {o} {k}", "your {o} {k}", "your {o} film", "the {o} {k} you filmed", "the {o} {k} you made", "the {o} {k} from you", "the {o} {k} you gave me", "the {o} of your {k}s", "the {k} you filmed {o}", "the {k} you made {o}", "the {o} {k} of yours"),
    "any": ("the {o} thing you made", "the {o} thing you gave me", "the {o} one you made", "the {o} of yours", "the {o} thing from you", "your {o} one", "your {o} piece", "the {o} of what you made", "the {o} result", "your {o} work", "the {o} thing you did"),
}  # fmt: skip
"""Places among what replies held."""
FRONTING: dict[str, Words] = {
    "user": ("what i sent {o}", "what i gave you {o}", "what i uploaded {o}", "what i showed you {o}", "what came {o} from me", "that which i sent {o}", "what i attached {o}", "the thing i sent {o}", "the thing i gave you {o}"),
    "image": ("what you drew {o}", "what you painted {o}", "what you sketched {o}", "the thing you drew {o}", "what you put on paper {o}"),
    "audio": ("what you played {o}", "what i heard {o} from you", "what you let me hear {o}", "the thing you played {o}", "what you played to me {o}"),
    "video": ("what you filmed {o}", "what you animated {o}", "what you put on film {o}", "the thing you filmed {o}", "what you recorded on video {o}"),
}  # fmt: skip
"""Clauses before what is wanted, for what came first or last."""
BY_CONTENT: dict[tuple[str, ...], Words] = {
    ("thing",): ("the {thing}", "the {thing}", "the {thing}", "the one with the {thing}", "the {thing} one", "that {thing}", "the {thing} from before", "the {thing} from earlier", "the {thing} we had", "the {thing} up there", "the {thing} {k}", "the {k} of the {thing}", "the {k} with the {thing}", "the {k} where the {thing} is", "that {k} with the {thing}", "that {thing} {k}"),
    ("color",): ("the {color} one", "the {color} one", "the {color} thing", "that {color} one", "the one in {color}", "the one that is {color}", "the {color} {k}", "the {k} in {color}", "the {k} that's {color}", "the {k} with the {color} thing"),
    ("color", "thing"): ("the {color} {thing}", "the {color} {thing}", "that {color} {thing}", "the {thing} in {color}", "the {thing} that is {color}", "the {color} {thing} from before", "the one with the {color} {thing}", "the {k} of the {color} {thing}", "the {color} {thing} {k}", "the {k} with the {color} {thing}"),
    ("size", "thing"): ("the {size} {thing}", "the {size} {thing}", "that {size} {thing}", "the {thing} that is {size}", "the {size} {thing} from before", "the {k} of the {size} {thing}", "the {k} with the {size} {thing}"),
    ("size",): ("the {size} one", "the {size} one", "that {size} one", "the one that is {size}", "the {size} thing", "the {size} {k}", "the {k} with the {size} thing", "the {k} that is {size}"),
    ("motion",): ("the one {motion}", "the one that {doing}", "the one which {doing}", "the thing that {doing}", "the one {motion}", "that one {motion}", "the {k} where it {doing}", "the {k} that {doing}", "the {k} with the thing {motion}", "the {k} of something {motion}"),
    ("motion", "thing"): ("the {thing} {motion}", "the {thing} that {doing}", "that {thing} {motion}", "the {thing} which {doing}", "the {k} of the {thing} {motion}", "the {k} where the {thing} {doing}", "the {k} in which the {thing} {doing}"),
    ("tempo",): ("the {tempo} one", "the {tempo} one", "that {tempo} one", "the one that is {tempo}", "the {tempo} {k}", "the {k} that is {tempo}"),
    ("size", "color"): ("the {size} {color} one", "that {size} {color} one", "the one that is {size} and {color}", "the {size} {color} thing", "the {size} {color} {k}", "the {k} with the {size} {color} thing"),
}  # fmt: skip
"""What an item shows; {k} is a noun for its kind."""
BY_DOING: dict[str, Words] = {
    "still": ("stands still", "does not move", "stays still", "doesn't move"), "left": ("goes left", "moves left", "goes to the left"), "right": ("goes right", "moves right", "goes to the right"),
    "up": ("goes up", "moves up", "rises"), "down": ("goes down", "moves down", "sinks", "falls down"), "toward": ("comes closer", "comes toward us", "approaches", "comes at me"),
    "shake": ("shakes", "trembles", "is shaking"), "bounce": ("bounces", "jumps", "is bouncing", "hops"),
}  # fmt: skip
OWNED: dict[str, Words] = {
    "user": ("my {thing}", "my {thing}", "my own {thing}", "the {thing} i sent", "the {thing} from me", "the {thing} i gave you", "the {thing} i uploaded", "the {thing} in my {k}", "the {thing} from my {k}", "the {thing} of mine", "the {thing} i attached", "my {k} of the {thing}", "that {thing} of mine", "the {value} one from me", "my {value} one", "the {value} one i sent", "the {value} one i uploaded", "the {value} one from my uploads", "the {value} one of mine", "the {value} one of my files"),
    "image": ("your {thing}", "your {thing}", "the {thing} you drew", "the {thing} you painted", "the {thing} you made", "the {thing} from you", "the {thing} of yours", "that {thing} you drew", "your {k} of the {thing}", "the {thing} in your {k}", "the {value} one you drew", "your {value} one", "the {value} one you made", "the {value} one from you"),
    "audio": ("your {thing}", "your {thing}", "the {thing} you played", "the {thing} you made", "the {thing} from you", "the {thing} of yours", "that {thing} you played", "your {k} of the {thing}", "the {thing} in your {k}", "the {value} one you played", "your {value} one", "the {value} one from you"),
    "video": ("your {thing}", "your {thing}", "the {thing} you filmed", "the {thing} you animated", "the {thing} you made", "the {thing} from you", "the {thing} of yours", "that {thing} you filmed", "your {k} of the {thing}", "the {thing} in your {k}", "the {value} one you filmed", "your {value} one", "the {value} one you made", "the {value} one from you"),
}  # fmt: skip
"""What an item shows, and whose it is."""
ROLES: dict[str, Words] = {
    "ball": ("the round thing", "the thing that rolls", "the round one", "the toy you throw"), "bell": ("the thing that rings", "the ringing one", "the one that chimes", "the ringer"),
    "bird": ("the one with feathers that sings", "the singing one", "the one that chirps", "the chirper", "the thing that tweets"), "bee": ("the buzzing one", "the thing that buzzes", "the one that makes honey", "the buzzer with wings"),
    "clock": ("the thing that ticks", "the ticking one", "the one that tells the time", "the time teller"), "drum": ("the thing you beat with sticks", "the one you drum on", "the thing to drum on"),
    "duck": ("the quacking one", "the one that quacks", "the quacker", "the thing that swims and quacks"), "flute": ("the one you blow into", "the thing you blow", "the wind instrument"),
    "heart": ("the thing that means love", "the love symbol", "the valentine thing"), "rain": ("the wet thing", "the wet one", "the one from the sky that drips", "the dripping one"),
    "siren": ("the wailing one", "the thing that wails", "the thing on an ambulance", "the howling one"), "car": ("the thing with wheels", "the one with wheels", "the thing you drive", "the vehicle"),
}  # fmt: skip
"""Things by what they do."""
