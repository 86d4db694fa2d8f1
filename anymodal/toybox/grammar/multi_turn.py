"""Conversations of several turns, and plain talk."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.cells import typed_story
from anymodal.toybox.grammar.loose_requests import loose_named
from anymodal.toybox.grammar.phrases.attributes import Words
from anymodal.toybox.grammar.phrases.requests import MAKE_VERBS, POLITE
from anymodal.toybox.grammar.phrases.talk import (
    FACTS,
    FIRST_TALK,
    ONLY_WORDS,
    REACTIONS,
    TALK,
    UNKNOWN,
    UNKNOWN_REPLIES,
    WHICH,
)
from anymodal.toybox.grammar.requests import describe_request, it_request, make_request
from anymodal.toybox.grammar.scenes import Scenes, default, shows_held_out
from anymodal.toybox.grammar.script import Script
from anymodal.toybox.grammar.types import Dialogue
from anymodal.toybox.grammar.words import Draw, plain_value, sentence, show, sound, typed
from anymodal.toybox.scene import THINGS, Scene

MADE = ("image", "audio", "video")
EDITABLE = {
    "thing": MADE,
    "color": ("image", "video"),
    "size": MADE,
    "motion": ("video",),
    "tempo": ("audio", "video"),
}
"""Which media an edit of an attribute can be seen or heard in."""

_FIRST = (*TALK, *FIRST_TALK, *WHICH.values())

Step = tuple[str, tuple[str, ...]]


def journey(scenes: Scenes, steps: Sequence[Step]) -> Script:
    """A medium, then changes of it: each step is a modality and the attributes that change.

    The scenes are chosen from the last to the first, so that the last is of the wanted split.
    """
    script = Script(scenes)
    moves = any("tempo" in changed for _, changed in steps)
    media = {modality for modality, _ in steps}
    last = steps[-1][0]
    scene = scenes.scene(media if last == "audio" else (last,), moves=moves)
    states = [scene]
    for _, changed in steps[:0:-1]:
        if changed:
            scene = scenes.variant(scene, changed, media, moves=moves)
        states.insert(0, scene)
    known: set[str] = set()
    for index, ((modality, changed), state) in enumerate(zip(steps, states, strict=True)):
        said = _to_say(scenes, state, modality, changed, known)
        if index == 0:
            script.user(make_request(scenes, modality, said))
        else:
            script.user(_follow_up(scenes, steps[index - 1][0], modality, said))
        script.make([scenes.medium(state, modality)], changed=index > 0)
        known |= set(state.observable(modality))
        if index < len(steps) - 1 and scenes.chance(0.15):
            _interlude(script, state, modality)
    return script


def _to_say(
    scenes: Scenes, scene: Scene, modality: str, changed: Sequence[str], known: set[str]
) -> dict[str, str]:
    said = {}
    for name, value in scene.observable(modality).items():
        usual = name != "thing" and value == default(scene, name) and scenes.chance(0.6)
        if name in changed or (name not in known and not usual):
            said[name] = value
    if modality == "video" and "tempo" in said and "motion" not in known | set(said):
        said["motion"] = scene.motion
    return said


def _follow_up(scenes: Scenes, given: str, wanted: str, said: dict[str, str]) -> str:
    return it_request(scenes, given, wanted, said, follow=True, moving=wanted == "video")


def _interlude(script: Script, scene: Scene, modality: str) -> None:
    """Something else between two requests: a word about the last medium, a question, or talk."""
    choice = script.scenes.rng.random()
    if choice < 0.3:
        _exchange(script, REACTIONS)
    elif choice < 0.65:
        _inquire(script, scene, modality)
    else:
        _talk(script)


def _inquire(script: Script, scene: Scene, modality: str) -> None:
    told = scene.observable(modality)
    if script.scenes.chance(0.4):
        script.user(describe_request(script.scenes, modality))
        script.describe(told, modality)
    else:
        script.ask(told, modality)


def edit(scenes: Scenes, name: str) -> Dialogue:
    """A medium of one's own, then with one attribute changed."""
    modality = scenes.one(EDITABLE[name])
    return journey(scenes, [(modality, ()), (modality, (name,))]).dialogue(f"edit:{name}")


def chain(scenes: Scenes) -> Dialogue:
    """A medium, then two or three edits, some of which change the modality."""
    modality = scenes.one(MADE)
    steps: list[Step] = [(modality, ())]
    for _ in range(scenes.one((2, 2, 3))):
        if scenes.chance(0.25):
            modality = scenes.one([other for other in MADE if other != modality])
            changed: tuple[str, ...] = ()
        else:
            names = [name for name, media in EDITABLE.items() if modality in media]
            changed = tuple(scenes.shuffled(names)[: scenes.one((1, 1, 1, 2))])
        steps.append((modality, changed))
    return journey(scenes, steps).dialogue("edit:chain")


def switch(scenes: Scenes) -> Dialogue:
    """A medium, then the same thing in another medium, perhaps with a change."""
    first, second = scenes.shuffled(MADE)[:2]
    names = [name for name, media in EDITABLE.items() if first in media and second in media]
    names.remove("thing")
    changed = (scenes.one(names),) if scenes.chance(0.2) else ()
    return journey(scenes, [(first, ()), (second, changed)]).dialogue("switch")


def retell(scenes: Scenes) -> Dialogue:
    """A medium of one's own, then a description of it or a question about it."""
    modality = scenes.one(MADE)
    script = Script(scenes)
    scene = scenes.scene((modality,))
    scene, said = scenes.said(scene, scene.observable(modality), (modality,), (modality,))
    script.user(make_request(scenes, modality, said))
    script.make([scenes.medium(scene, modality)])
    _inquire(script, scene, modality)
    return script.dialogue("retell")


def ask(scenes: Scenes) -> Dialogue:
    """A given medium is described, then a question about it is answered."""
    given = scenes.one((*MADE, "imu"))
    script = Script(scenes)
    medium = scenes.medium(scenes.scene((given,)), given)
    if scenes.chance(0.6):
        script.user(describe_request(scenes, given), [medium])
        script.describe(medium.told, given)
    else:
        script.ask(medium.told, given, [medium])
    for _ in range(scenes.one((1, 1, 2))):
        script.ask(medium.told, given)
    return script.dialogue("ask")


def verify(scenes: Scenes) -> Dialogue:
    """Questions whether something is so, about a given medium, one's own, or words."""
    script = Script(scenes)
    given = scenes.one((*MADE, "imu", "text"))
    if given == "text":
        told = scenes.scene(("video",)).observable("video")
        script.verify(told, before=typed_story(scenes, told))
    elif given != "imu" and scenes.chance(0.3):
        scene = scenes.scene((given,))
        scene, said = scenes.said(scene, scene.observable(given), (given,), (given,))
        told = scene.observable(given)
        script.user(make_request(scenes, given, said))
        script.make([scenes.medium(scene, given)])
        script.verify(told)
    else:
        medium = scenes.medium(scenes.scene((given,)), given)
        told = medium.told
        script.verify(told, [medium])
    for _ in range(scenes.one((0, 1, 2))):
        script.verify(told)
    return script.dialogue("verify")


def describe_then_make(scenes: Scenes) -> Dialogue:
    """A given medium is described, then made again in another way."""
    given, wanted = scenes.one(MADE), scenes.one(MADE)
    script = Script(scenes)
    names = [name for name, media in EDITABLE.items() if given in media and wanted in media]
    names.remove("thing")
    changed = [scenes.one(names)] if given == wanted or scenes.chance(0.3) else []
    moves = "tempo" in changed
    shown = (given, wanted) if wanted == "audio" else (wanted,)
    scene = scenes.scene(shown, moves=moves)
    source = scenes.variant(scene, changed, (given,), moves=moves) if changed else scene
    said = _to_say(scenes, scene, wanted, changed, set(source.observable(given)))
    medium = scenes.medium(source, given)
    script.user(describe_request(scenes, given), [medium])
    script.describe(medium.told, given)
    script.user(_follow_up(scenes, given, wanted, said))
    script.make([scenes.medium(scene, wanted)])
    return script.dialogue("describe>make")


def mixed(scenes: Scenes) -> Dialogue:
    """A request amid plain talk: after a greeting, after being asked what, before thanks."""
    modality = scenes.one(MADE)
    script = Script(scenes)
    scene = scenes.scene((modality,))
    scene, said = scenes.said(scene, scene.observable(modality), (modality,), (modality,))
    text = make_request(scenes, modality, said)
    choice = scenes.rng.random()
    if choice < 0.3:
        users, replies = WHICH[modality]
        script.user(typed(scenes, scenes.one(users)))
        script.say(scenes.one(replies))
        if scenes.chance(0.7) and "thing" in said:
            text = typed(scenes, (sound if modality == "audio" else show)(scenes, said))
    elif choice < 0.7:
        _talk(script)
    script.user(text)
    script.make([scenes.medium(scene, modality)])
    if choice > 0.5:
        _talk(script)
    return script.dialogue("mixed")


def react(scenes: Scenes) -> Dialogue:
    """A medium of one's own, then a word about it, which asks for none."""
    script = journey(scenes, [(scenes.one(MADE), ())])
    _exchange(script, REACTIONS)
    return script.dialogue("react")


def talk(scenes: Scenes) -> Dialogue:
    """Plain talk that wants no medium."""
    script = Script(scenes)
    for _ in range(scenes.one((1, 1, 1, 2, 3))):
        _talk(script, first=not script.turns)
    return script.dialogue("talk")


def _talk(script: Script, *, first: bool = False) -> None:
    if script.scenes.chance(0.3):
        text, reply = _fact(script.scenes)
        script.user(typed(script.scenes, text))
        script.say(reply)
    else:
        _exchange(script, _FIRST if first else TALK)


def _exchange(script: Script, known: Sequence[tuple[Words, Words]]) -> None:
    """Something that is said, and one of the answers to it."""
    users, replies = script.scenes.one(known)
    script.user(typed(script.scenes, script.scenes.one(users)))
    script.say(script.scenes.one(replies))


def _fact(draw: Draw) -> tuple[str, str]:
    """A question that wants words for its answer, though it names what can be seen or heard."""
    facts, questions, replies = draw.one(FACTS)
    name = draw.one(list(facts))
    direct, indirect = draw.one(questions)
    text = draw.one(ONLY_WORDS).replace("{d}", direct).replace("{q}", indirect)
    reply = draw.one(replies).replace("{x}", name).replace("{v}", facts[name])
    return text.replace("{x}", name), sentence(reply)


def unknown(scenes: Scenes) -> Dialogue:
    """A request for something that the Toybox doesn't have, and so for no medium."""
    script = Script(scenes)
    modality = scenes.one(MADE)
    scene = scenes.scene((modality,))
    noun = scenes.one(UNKNOWN)
    facts = {n: v for n, v in scene.observable(modality).items() if scenes.chance(0.4)}
    facts.pop("thing", None)
    if "motion" not in facts:
        facts.pop("tempo", None)
    phrase = show(scenes, facts, compact=True).replace("thing", noun)
    if scenes.chance(0.5):
        script.user(typed(scenes, loose_named(scenes, modality, phrase)))
    else:
        verb = scenes.one(MAKE_VERBS[modality]).replace("{x}", phrase)
        script.user(typed(scenes, scenes.one(POLITE).replace("{v}", verb)))
    reply = scenes.one(UNKNOWN_REPLIES).replace("{x}", f"a {noun}")
    known = [thing for thing in THINGS if not shows_held_out({**facts, "thing": thing})]
    reply = reply.replace("{y}", f"a {plain_value('thing', scenes.one(known))}")
    script.say(sentence(reply))
    return script.dialogue("unknown")
