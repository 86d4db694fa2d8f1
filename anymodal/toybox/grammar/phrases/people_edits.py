"""Rules of edits as people type them: {it} the item, {v} the new value, {w} the old one."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

EDITS: dict[str, Words] = {
    # --- around any edit -------------------------------------------------------------------------
    "can": ("can you", "could you", "can u", "could you please", "would you", "please", "pls", "great, can you", "how about you", "very good. can you", "i want you to"),
    "change_do": ("4: make {it} {v}", "2: change {it} to {v}", "turn {it} {v}", "do {it} {v}", "let {it} be {v}", "have {it} {v}", "set it to {v}", "switch to {v}", "try {v}", "use {v}", "go for {v}",
                  "give me the {v} version", "make that {v}", "do a {v} one", "keep {it} but {v}"),
    "motion_do": ("4: make {it} {go}", "let {it} {go}", "have {it} {go}", "show {it} {going}", "change the movement to {going}", "film {it} {going}", "get {it} to {go}", "try {going}"),
    "thing_do": ("3: make {it} {x}", "turn {it} into {x}", "change {it} to {x}", "replace {it} with {x}", "swap {it} for {x}", "use {x}", "try {x}", "transform {it} into {x}", "make that {x}", "do the same with {x}"),
    "edit_color": ("2: {can} {change_do}", "5: {change}", "2: {lead} {change}", "{change} {tail}", "{lead} {change} {tail}", "2: {contrast_edit}"),
    "edit_size": ("2: {can} {change_do}", "5: {change}", "2: {lead} {change}", "{change} {tail}", "{lead} {change} {tail}", "2: {contrast_edit}", "3: {size_edit}"),
    "edit_tempo": ("2: {can} {change_do}", "4: {change}", "2: {lead} {change}", "{change} {tail}", "{lead} {change} {tail}", "2: {contrast_edit}", "4: {tempo_edit}"),
    "edit_motion": ("2: {can} {motion_do}", "5: {motion_edit}", "2: {lead} {motion_edit}", "{motion_edit} {tail}", "{lead} {motion_edit} {tail}", "2: {contrast_edit}"),
    "edit_thing": ("2: {can} {thing_do}", "5: {thing_edit}", "2: {lead} {thing_edit}", "{thing_edit} {tail}", "{lead} {thing_edit} {tail}", "2: {contrast_thing}"),
    "lead": ("3: now", "2: ok now", "and now", "then", "nice, now", "great. now", "cool, but", "hmm,", "hm ok,", "thanks, now", "good, but", "and please", "lovely! now", "i like it, but",
             "almost. now", "next,", "so now", "wait,", "actually", "maybe", "ooh, now", "wow. and now",
             "not bad. now", "thx, now", "alright,", "not quite,", "close, but", "haha now", "perfect, now", "ok but"),
    "tail": ("3: please", "2: pls", "plz", "now", "instead", "this time", "thanks", "thx", "for me", "if you can", ", ok?", "will you?",
             "and leave the rest", "and keep everything else", "but keep the rest", "and change nothing else", "everything else the same",
             "only that", "nothing else", "tho", "lol", "if possible", "for a change", "please and thank you", "the rest is fine"),
    # --- a value: of a color, a size, a tempo ----------------------------------------------------
    "change": (
        "5: make {it} {v}", "2: change {it} to {v}", "turn {it} {v}", "i want {it} {v}", "i'd like {it} {v}", "i'd prefer {it} {v}",
        "can {it} be {v}?", "could {it} be {v}?", "what if {it} was {v}?", "what if {it} were {v}?", "let {it} be {v}", "{it} should be {v}",
        "{it} must be {v}", "do {it} {v}", "have {it} {v}", "i'd rather have {it} {v}", "{it} would be nicer {v}",
        "{it}, but {v}", "{it} but {v}", "the same but {v}", "same but {v}", "same thing, {v}", "the same, only {v}", "same one, just {v}",
        "set it to {v}", "switch to {v}", "go for {v}", "try {v}", "use {v}", "i meant {v}", "actually {v}", "{v} would be better",
        "edit {it}: {v}", "{v} is nicer", "how about {v}?", "what about {v}?", "{v} maybe?", "rather {v}",
        "and {v}?", "and now {v}", "now {v}", "but {v}", "{v} please", "{v} pls", "4: {v}", "{v} one", "a {v} one", "a {v} version",
        "in {v}", "give me the {v} version", "can i have {it} {v}?", "make that {v}", "{v} instead", "{v}!", "{v} now",
        "ok {v}", "yes but {v}", "nah, {v}", "no, {v}", "i think {v} is better", "better {v}", "more like {v}", "it's supposed to be {v}",
        "i wanted {it} {v}", "i want a {v} one", "do a {v} one", "can it be {v} instead", "keep {it} but {v}", "go {v}",
    ),
    "contrast_edit": (
        "{v} instead of {w}", "not {w}, {v}", "not {w} but {v}", "not {w}! {v}!", "no, {v}, not {w}", "i said {v}", "i said {v}, not {w}", "no i meant {v}",
        "no, i meant {v}", "oops, i meant {v}", "sorry, {v}", "sorry i meant {v}", "i don't like {w}, make {it} {v}", "don't make {it} {w}, make {it} {v}",
        "why {w}? i want {v}", "{w} is wrong, {v} please", "it shouldn't be {w} but {v}", "i don't want {w}, i want {v}", "from {w} to {v}",
        "change {w} to {v}", "replace {w} with {v}", "swap {w} for {v}", "{v} rather than {w}", "no no, {v}", "wrong. {v}", "wait, {v}", "my bad, {v}",
        "i changed my mind: {v}", "on second thought, {v}", "typo, i meant {v}", "correction: {v}", "nope, {v}", "not what i meant. {v}", "i asked for {v}",
        "hm no, {v}", "hold on, {v}", "{w}? no, {v}", "enough {w}, try {v}", "ugh, {v}", "actually no, {v}", "{w} isn't what i wanted, make {it} {v}",
    ),
    # --- comparatives ----------------------------------------------------------------------------
    "size_edit": ("3: {more}", "make {it} {more}", "{more} please", "{more} pls", "a bit {more}", "much {more}", "way {more}", "can {it} be {more}?", "a {more} one",
                  "i want {it} {more}", "i want a {more} one", "2: too {w}", "that's too {w}", "it's way too {w}", "not so {w}", "{it} is too {w}", "less {w}",
                  "{more}!", "try {it} {more}", "the same but {more}", "could {it} be {more}?", "the opposite size", "the other size", "hmm too {w}"),
    "tempo_edit": ("3: {more}", "make {it} {more}", "{more} please", "{more} pls", "a bit {more}", "much {more}", "can {it} be {more}?", "{more}!", "do {it} {more}",
                   "2: too {w}", "that's too {w}", "way too {w}", "not so {w}", "less {w}", "the same but {more}", "the opposite speed", "the other speed", "{speed}", "{speed} please",
                   "can you {speed}", "now {speed}", "change the speed", "it's too {w} for me"),
    # --- motions and things ----------------------------------------------------------------------
    "motion_edit": ("3: make {it} {go}", "let {it} {go}", "have {it} {go}", "2: {going}", "i want {it} {going}", "i want {it} to {go}", "can {it} {go}?", "{it} should {go}",
                    "{it} {going}", "show {it} {going}", "the same but {going}", "same but {going}", "now {going}", "and {going}?", "{going} please", "could {it} {go}?",
                    "change the movement to {going}", "{going} instead", "this time {going}", "what if {it} was {going}?", "how about {going}?", "i'd like to see {it} {going}",
                    "rather {going}", "it's supposed to {go}", "film {it} {going}", "get {it} to {go}", "try {going}", "no, {going}", "i meant {going}", "{going}!"),
    "thing_edit": ("2: make {it} {x}", "2: {x} instead", "turn {it} into {x}", "change {it} to {x}", "replace {it} with {x}", "swap {it} for {x}", "the same with {x}", "same with {x}",
                   "now with {x}", "do the same with {x}", "{x}", "and {x}?", "how about {x}?", "what about {x}?", "i'd rather have {x}", "i want {x} instead", "use {x}", "now {x}",
                   "try {x}", "with {x} instead", "let {it} be {x}", "could {it} be {x}?", "what if {it} was {x}?", "but with {x}", "and now {x}", "make that {x}", "transform {it} into {x}",
                   "{it} should be {x}", "same but {x}", "same thing but {x}", "but {x}", "the same one with {x}", "now do {x}"),
    "contrast_thing": ("no, i meant {x}", "no i meant {x}", "i said {x}", "i said {x}, not a {w}", "not a {w}, {x}", "{x}, not a {w}", "{x} instead of a {w}", "{x} instead of the {w}",
                       "a {w}? i wanted {x}", "oops i meant {x}", "sorry, {x}", "wrong thing, {x}", "that's a {w}. i want {x}", "not a {w} but {x}", "i don't want a {w}, i want {x}",
                       "replace the {w} with {x}", "swap the {w} for {x}", "the {w} should be {x}", "turn the {w} into {x}", "change the {w} to {x}", "wait, {x}",
                       "no! {x}!", "actually {x}", "correction: {x}", "i changed my mind, {x}", "nope, {x}", "hmm no, {x}", "{x} rather than a {w}", "lose the {w}, use {x}", "i asked for {x}"),
}  # fmt: skip
"""Edits of one attribute, by "edit_" and its name."""

EDIT_TWO: Words = ("{v} and {w}", "make {it} {v} and {w}", "now {v} and {w}", "{v} and {w} please", "change {it} to {v} and {w}", "i want {it} {v} and {w}", "can {it} be {v} and {w}?", "the same but {v} and {w}",
                   "{it} should be {v} and {w}", "could you make {it} {v} and {w}?", "same thing, {v} and {w}", "make {it} {v}, and also {w}", "{v}, {w}", "two changes: {v} and {w}", "{it}, but {v} and {w}",
                   "first {v}, and {w} too", "both {v} and {w} please", "i'd like {it} {v} and {w}", "no, {v} and {w}", "and now {v} and {w}")  # fmt: skip
"""Edits of two attributes, to {v} and {w}."""
OTHER_WAY: Words = ("the other direction", "the other way", "other way", "other direction", "in the other direction", "opposite direction", "the opposite way",
                    "reverse it", "other way round", "other way around", "no, the other way", "i meant the other direction", "wrong direction", "wrong way", "flip the direction",
                    "turn it around", "make it go the other way", "can it go the other way?", "now the other way", "backwards", "in reverse", "opposite", "change direction",
                    "the opposite direction please", "let it go the other way", "not that way, the other", "and the other way?", "switch direction", "it should go the other way")  # fmt: skip
AGAIN: Words = ("2: again", "once more", "one more", "another one", "one more time", "do it again", "encore", "again please", "another", "one more please", "repeat",
                "repeat that", "same again", "do that again", "redo it from scratch", "a new one", "another try", "try again", "give me another", "make another one",
                "one more of those", "another one like that", "more of that", "can i have another one?", "again!", "and again", "same thing again", "a fresh one please",
                "once again pls", "can you do another?", "more", "a second one", "and another")  # fmt: skip
UNDO: Words = ("undo", "undo that", "undo please", "go back", "revert", "revert that", "take that back", "back to the previous one", "the one before again", "the previous version",
               "back to how it was", "as it was before", "i liked the one before better", "the last one was better", "the one before was better", "put it back", "undo the last change",
               "can you undo that?", "change it back", "make it like before", "go back one step", "previous one please", "no, go back", "hmm, i liked it before", "back", "cancel that change",
               "restore the old one", "never mind, back to the old one", "ctrl z", "like it was", "old version please", "return to the previous one", "step back", "reset that")  # fmt: skip
REDO: Words = ("redo", "redo that", "redo please", "no, the changed one again", "actually the new one", "ok the other one again", "forward again", "bring the change back",
               "i want the change after all", "undo the undo", "the newer version again", "no, the new one was better", "put the change back", "the second version again",
               "ctrl y", "redo the change", "actually, redo it", "go forward again", "on second thought, the changed one")  # fmt: skip
FIRST_AGAIN: Words = ("back to the first one", "the first one again", "start over with the original", "the original please", "go back to the original", "the very first version",
                      "undo everything", "undo all changes", "reset to the first one", "back to the beginning", "original version please", "all the way back", "discard all changes")  # fmt: skip
SPEED: dict[str, Words] = {
    "fast": ("speed it up", "speed up", "hurry up", "speed that up"),
    "slow": ("slow it down", "slow down", "slow that down"),
}
TO_MODALITY: dict[str, Words] = {
    "image": ("as a picture", "as a pic", "now as a picture", "draw it", "now draw it", "picture?", "pic?", "show me a pic of it", "and a picture", "now a picture", "can you draw it?",
              "and draw it too", "i want to see it as a picture", "what does it look like?", "in a picture", "make it a picture", "and the picture?", "how about a picture", "sketch it",
              "as an image please", "give me a pic", "turn it into a drawing", "freeze it as a picture", "same thing as a picture", "a still of it", "drawing please"),
    "audio": ("and the sound?", "now the sound", "what does it sound like?", "sound?", "how does it sound?", "and how does it sound?", "play it", "let me hear it", "now play it", "with sound",
              "the sound of it", "sound please", "add the sound", "i want to hear it", "can i hear it?", "lemme hear it", "as a sound", "now as audio", "and its noise?", "audio please", "its sound",
              "give me the sound", "can you play its sound?", "now i want to hear it", "what noise does it make?", "and now as a sound"),
    "video": ("as a video", "as a vid", "now as a video", "film it", "animate it", "now film it", "video?", "vid?", "as a clip", "as a gif", "make it a video", "turn it into a video", "and a video",
              "can you animate it?", "now animate it", "make a clip of it", "and film it", "i want to see it on video", "same thing as a video", "make it into an animation", "bring it to life",
              "gif please", "video please", "make a gif of it", "put it in a video", "a video of it pls"),
}  # fmt: skip
"""Requests for the item at hand in another modality."""
