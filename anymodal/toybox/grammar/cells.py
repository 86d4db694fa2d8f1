"""Conversations of one turn: the cells of the any-to-any matrix, and requests of several media."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.captions import describe
from anymodal.toybox.grammar.phrases.questions import BELONG, BELONG_SAID, NOT_SAID, TELL, TELL_BACK
from anymodal.toybox.grammar.requests import (
    describe_request,
    it_request,
    like_this_request,
    make_request,
    move_picture_request,
    question,
    several_request,
)
from anymodal.toybox.grammar.scenes import Scenes, told_by_all
from anymodal.toybox.grammar.script import Script
from anymodal.toybox.grammar.types import Dialogue
from anymodal.toybox.grammar.words import Facts, plain_value, sentence, show, typed
from anymodal.toybox.scene import THINGS, VALUES, Scene

OUTPUTS = ("text", "image", "audio", "video")
INPUTS = (*OUTPUTS, "imu")


def cell(scenes: Scenes, given: str, wanted: str) -> Dialogue:
    """A conversation of one cell of the matrix."""
    if given == "text":
        return told_scene(scenes) if wanted == "text" else named(scenes, wanted)
    if wanted == "text":
        return perceived(scenes, given)
    return felt(scenes, wanted) if given == "imu" else converted(scenes, given, wanted)


def named(scenes: Scenes, wanted: str) -> Dialogue:
    """A medium of a thing that the words name."""
    script = Script(scenes)
    scene = scenes.scene((wanted,))
    scene, said = scenes.said(scene, scene.observable(wanted), (wanted,), (wanted,))
    script.user(make_request(scenes, wanted, said))
    script.make([scenes.medium(scene, wanted)])
    return script.dialogue(f"text>{wanted}")


def told_scene(scenes: Scenes) -> Dialogue:
    """A question about a scene that the words describe."""
    script = Script(scenes)
    scene = scenes.scene(("video",))
    told = scene.observable("video")
    kept = {name: value for name, value in told.items() if name == "thing" or scenes.chance(0.6)}
    if "motion" not in kept:
        kept.pop("tempo", None)
    if scenes.unseen:
        kept = told
    before = typed_story(scenes, kept)
    choice = scenes.rng.random()
    missing = [name for name in ("color", "size", "motion") if name not in kept]
    if choice < 0.35:
        script.user(before + typed(scenes, scenes.one(TELL_BACK)))
        script.say(describe(kept, "text", scenes.rng), kept)
    elif choice < 0.45 and missing:
        script.user(before + question(scenes, "text", scenes.one(missing)))
        script.say(scenes.one(NOT_SAID), {})
    else:
        script.ask(kept, "text", before=before)
    return script.dialogue("text>text")


def typed_story(scenes: Scenes, told: Facts) -> str:
    """Words that set a scene, before a question about it."""
    form = scenes.one(TELL)
    text = form.replace("{x}", show(scenes, told, compact=not form.endswith("{x}.")))
    return (sentence(text) if scenes.chance(0.3) else text) + " "


def perceived(scenes: Scenes, given: str) -> Dialogue:
    """A description of a medium, or a question about it."""
    script = Script(scenes)
    medium = scenes.medium(scenes.scene((given,)), given)
    told = medium.told
    if scenes.chance(0.6):
        script.user(describe_request(scenes, given), [medium])
        script.describe(told, given)
    else:
        script.ask(told, given, [medium])
    return script.dialogue(f"{given}>text", script.answers[-1][0])


def converted(scenes: Scenes, given: str, wanted: str) -> Dialogue:
    """A medium of the thing in another medium, perhaps with changes."""
    script = Script(scenes)
    shown = (given, wanted) if wanted == "audio" else (wanted,)
    scene = scenes.scene(shown)
    changed = _changed(scenes, scene, given, wanted)
    source = scenes.variant(scene, changed, (given,)) if changed else scene
    told = source.observable(given)
    new = [name for name in scene.observable(wanted) if name not in told and name not in changed]
    scene, said = scenes.said(scene, new, shown, (wanted,))
    still_told = scene.observable(wanted)
    said |= {name: still_told[name] for name in changed if name in still_told}
    script.user(
        it_request(scenes, given, wanted, said, follow=False, moving=wanted == "video"),
        [scenes.medium(source, given)],
    )
    script.make([scenes.medium(scene, wanted)])
    kept = [name for name in scene.observable(wanted) if name in told and name not in said]
    return script.dialogue(f"{given}>{wanted}", kept)


def _changed(scenes: Scenes, scene: Scene, given: str, wanted: str) -> list[str]:
    """Which attributes of the medium at hand a request changes."""
    both = [name for name in scene.observable(wanted) if name in scene.observable(given)]
    if given != wanted:
        rest = [name for name in both if name != "thing"]
        return [scenes.one(rest)] if rest and scenes.chance(0.15) else []
    count = scenes.one((0, 1, 1, 1, 1, 1, 1, 1, 2, 2))
    return scenes.shuffled(both)[:count]


def felt(scenes: Scenes, wanted: str) -> Dialogue:
    """A medium of a named thing that takes what it can from a felt movement."""
    script = Script(scenes)
    scene = scenes.scene((wanted,), moves=wanted != "video")
    told = scene.observable("imu")
    named = [name for name in scene.observable(wanted) if name not in told]
    scene, said = scenes.said(scene, named, (wanted,), (wanted,))
    source = scene
    if wanted != "image" and "size" in told and scenes.chance(0.4):
        said["size"] = scene.size
        source = scene.replace(size=scenes.one(VALUES["size"]))
    script.user(like_this_request(scenes, wanted, said), [scenes.medium(source, "imu")])
    script.make([scenes.medium(scene, wanted)])
    kept = [name for name in scene.observable(wanted) if name in told and name not in said]
    return script.dialogue(f"imu>{wanted}", kept)


def moved(scenes: Scenes) -> Dialogue:
    """A picture moved like a movement: its looks from the one, its motion from the other."""
    script = Script(scenes)
    scene = scenes.scene(("video",))
    said = {}
    picture = scene
    if scenes.chance(0.15):
        name = scenes.one(("color", "size"))
        picture = scenes.variant(scene, [name], ("image",))
        said = {name: getattr(scene, name)}
    movement = scene.replace(size=scenes.one(VALUES["size"]))
    media = [scenes.medium(picture, "image"), scenes.medium(movement, "imu")]
    script.user(move_picture_request(scenes, said), scenes.shuffled(media))
    script.make([scenes.medium(scene, "video")])
    return script.dialogue(
        "image+imu>video", [n for n in scene.observable("video") if n not in said]
    )


def belonging(scenes: Scenes) -> Dialogue:
    """Whether a sound belongs to a picture, and why."""
    script = Script(scenes)
    scene = scenes.scene(("image", "audio"))
    yes = scenes.chance(0.5)
    heard = scene
    if not yes:
        heard = scene.replace(thing=scenes.one([thing for thing in THINGS if thing != scene.thing]))
    media = [scenes.medium(scene, "image"), scenes.medium(heard, "audio")]
    told = {"answer": "yes" if yes else "no"}
    form = scenes.one(BELONG_SAID).replace("{v}", told["answer"])
    nouns = [plain_value("thing", scene.thing), plain_value("thing", heard.thing)]
    told["thing"] = " and ".join(thing for thing in THINGS if thing in (scene.thing, heard.thing))
    script.user(typed(scenes, scenes.one(BELONG)), scenes.shuffled(media))
    script.say(form.replace("{a}", nouns[0]).replace("{b}", nouns[1]), told)
    return script.dialogue("image+audio>text", told)


def several(scenes: Scenes, wanted: Sequence[str]) -> Dialogue:
    """Several media of one scene in one answer, in the order asked for."""
    script = Script(scenes)
    scene = scenes.scene(wanted)
    scene, said = scenes.said(scene, told_by_all(scene, wanted), wanted, wanted)
    if "video" in wanted and "tempo" in said:
        said["motion"] = scene.motion
    order = scenes.shuffled(wanted)
    script.user(several_request(scenes, order, said))
    script.make([scenes.medium(scene, modality) for modality in order])
    return script.dialogue(f"text>{'+'.join(wanted)}")
