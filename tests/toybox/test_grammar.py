"""The Toybox's language: captions, conversations, and the oracle that reads them."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

from anymodal.toybox.grammar.captions import caption, describe
from anymodal.toybox.grammar.dialogues import KINDS, as_text, sample_dialogue
from anymodal.toybox.grammar.loose_requests import with_surroundings
from anymodal.toybox.grammar.phrases import attributes, questions, replies, requests, talk
from anymodal.toybox.grammar.phrases.questions import ASK, ASK_STRENGTH, DESCRIBE_IT
from anymodal.toybox.grammar.types import DialogueTurn, MediaItem, ReferenceDialogue
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.oracles.text import read_text, score_text
from anymodal.toybox.paraphrases import GIVEN, NAMED, is_paraphrase, sample_paraphrase
from anymodal.toybox.scene import (
    DEFAULT_COLOR,
    DEFAULTS,
    VALUES,
    Scene,
    all_scenes,
    is_held_out,
    sample_scene,
)

MEDIA = ("image", "audio", "video", "imu")
CELLS = [f"{a}>{b}" for a in ("text", *MEDIA) for b in ("text", "image", "audio", "video")]
COMPOSED = ["image+imu>video", "image+audio>text", "text>image+audio+video"]
MADE = re.compile(r"image|audio|video")


@cache
def samples(kind: str | None, count: int, unseen: bool = False) -> tuple[ReferenceDialogue, ...]:
    rng = np.random.default_rng(7)
    return tuple(sample_dialogue(rng, kind=kind, unseen=unseen) for _ in range(count))


def pair_held_out(facts: dict[str, str]) -> bool:
    """Whether a held-out pair is among facts that were parsed, where they are unambiguous."""
    facts = {name: value for name, value in facts.items() if " and " not in value}
    return "thing" in facts and is_held_out(facts["thing"], facts.get("color"), facts.get("motion"))


@pytest.mark.parametrize(
    ("modality", "words"),
    [
        ("image", "a small red ball"),
        ("video", "a small red ball moving left, fast"),
        ("audio", "the sound of a small ball, fast"),
        ("imu", "a small fast movement to the left"),
        ("text", "a small red ball moving left, fast"),
    ],
)
def test_captions_read_like_this(modality: str, words: str) -> None:
    scene = Scene("ball", "red", "small", "left", "fast")
    assert caption(scene.observable(modality), modality) == words


def test_captions_of_rest_say_no_tempo() -> None:
    scene = Scene("car", "orange", "big", "still", "fast")
    assert caption(scene.observable("video"), "video") == "a big orange car, still"
    assert caption(scene.observable("imu"), "imu") == "no movement"
    assert caption({"color": "orange", "thing": "car"}, "image") == "an orange car"


@pytest.mark.parametrize("modality", ["text", *MEDIA])
def test_captions_differ_exactly_where_facts_differ(modality: str) -> None:
    facts = {tuple(scene.observable(modality).items()) for scene in all_scenes()}
    captions = {caption(dict(told), modality) for told in facts}
    assert len(captions) == len(facts)
    assert all(words == words.lower() for words in captions)
    assert all(read_text(caption(dict(told), modality)) == dict(told) for told in facts)


def test_an_unknown_modality_names_the_choices() -> None:
    with pytest.raises(ValueError, match="'smell'.*image"):
        caption({}, "smell")
    with pytest.raises(ValueError, match="'smell'.*image"):
        describe({}, "smell", np.random.default_rng(0))


@pytest.mark.parametrize("modality", ["text", *MEDIA])
def test_descriptions_are_many_and_the_oracle_reads_them(modality: str) -> None:
    rng = np.random.default_rng(0)
    told = Scene("bell", "green", "small", "left", "fast").observable(modality)
    assert len({describe(told, modality, rng) for _ in range(400)}) >= 100
    assert len(attributes.DESCRIBE[modality]) >= 15
    scores = []
    for _ in range(1000):
        told = sample_scene(rng).observable(modality)
        scores += score_text(describe(told, modality, rng), told).values()
    assert np.mean(scores) >= 0.99


@pytest.mark.parametrize("modality", MEDIA)
def test_the_oracle_is_at_chance_on_scrambled_facts(modality: str) -> None:
    rng = np.random.default_rng(1)
    scenes = all_scenes()
    hits: dict[str, list[bool]] = {}
    for first, second in rng.integers(len(scenes), size=(1500, 2)):
        text = describe(scenes[first].observable(modality), modality, rng)
        other = scenes[second].observable(modality)
        for name, hit in score_text(text, other).items():
            hits.setdefault(name, []).append(hit)
    for name, values in hits.items():
        assert np.mean(values) <= 1 / len(VALUES[name]) + 0.04


def test_the_oracle_refuses_contradictions_and_additions() -> None:
    assert read_text("it is red and blue") == {"color": "red and blue"}
    assert score_text("A big red ball.", {"thing": "ball"}) == {
        "thing": True, "size": False, "color": False,
    }  # fmt: skip
    assert score_text("Yes, it is red.", {"color": "red"}) == {"color": True}
    assert score_text("No, it is red.", {"answer": "yes", "color": "red"})["answer"] is False
    assert read_text("No movement.") == {"motion": "still"}
    assert read_text("nothing of note here") == {}


def test_every_cell_and_composed_request_is_a_kind() -> None:
    assert set(CELLS + COMPOSED) < set(KINDS)
    assert all(weight > 0 for weight in KINDS.values())
    with pytest.raises(ValueError, match="'dance'"):
        sample_dialogue(np.random.default_rng(0), kind="dance")


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
def test_conversations_are_well_formed(kind: str, unseen: bool) -> None:
    for dialogue in samples(kind, 100, unseen):
        assert dialogue.kind == kind
        roles = [turn.role for turn in dialogue.turns]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        replies = dialogue.turns[1::2]
        assert len(dialogue.answers) == len(replies)
        for turn in dialogue.turns[::2]:
            assert all(isinstance(part, MediaItem) for part in turn.parts[:-1])
            assert isinstance(turn.parts[-1], str)
        for turn, answers in zip(replies, dialogue.answers, strict=True):
            _check_reply(turn, answers)
        assert "{" not in "".join(turn.text for turn in dialogue.turns)


def _check_reply(turn: DialogueTurn, answers: tuple[dict[str, str], ...]) -> None:
    if not turn.media:
        assert len(answers) <= 1
        assert all(all(score_text(turn.text, told).values()) for told in answers), turn.text
        assert answers != ({},) or read_text(turn.text) == {}
        return
    assert answers == tuple(medium.attributes for medium in turn.media)
    for before, part in zip(turn.parts, turn.parts[1:], strict=False):
        if isinstance(part, MediaItem):
            assert isinstance(before, str)
            assert part.caption in before.lower()
            assert before.endswith(": ")


@pytest.mark.parametrize("kind", list(KINDS))
def test_training_never_meets_a_held_out_pair(kind: str) -> None:
    for dialogue in samples(kind, 100):
        for turn in dialogue.turns:
            assert not any(medium.scene.held_out for medium in turn.media)
            assert not pair_held_out(read_text(turn.text)), turn.text


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.endswith(("image", "video"))],
)
def test_unseen_answers_are_held_out(kind: str) -> None:
    for dialogue in samples(kind, 100, True):
        assert any(pair_held_out(told) for told in dialogue.answers[-1]), dialogue


@pytest.mark.parametrize("kind", ["image>audio", "video>audio", "image>text", "edit:color"])
def test_unseen_conversations_show_a_held_out_pair(kind: str) -> None:
    for dialogue in samples(kind, 100, True):
        media = [medium for turn in dialogue.turns for medium in turn.media]
        assert any(pair_held_out(medium.attributes) for medium in media)


@pytest.mark.parametrize("wanted", ["image", "audio", "video", "image+audio+video"])
def test_requests_say_what_is_made_or_leave_it_at_its_default(wanted: str) -> None:
    omitted = 0
    for dialogue in samples(f"text>{wanted}", 500):
        said = read_text(dialogue.turns[0].text)
        told = {name: value for answer in dialogue.answers[0] for name, value in answer.items()}
        usual = {**DEFAULTS, "color": DEFAULT_COLOR[told["thing"]]}
        assert {**{name: usual[name] for name in told}, **said} == told
        assert {part.modality for part in dialogue.turns[1].media} == set(wanted.split("+"))
        omitted += said != told
    assert 50 < omitted < 450


@pytest.mark.parametrize("kind", [cell for cell in CELLS if not cell.startswith("text")])
def test_inputs_tell_what_words_do_not(kind: str) -> None:
    given = kind.split(">")[0]
    told_alone = 0
    for dialogue in samples(kind, 200):
        user, answer = dialogue.turns[0], dialogue.answers[0][0]
        assert [medium.modality for medium in user.media] == [given]
        shown = user.media[0].attributes
        for name in dialogue.from_input:
            assert name == "answer" or shown[name] == answer[name]
        told_alone += bool(dialogue.from_input)
        # "too slow" and "not so slow" name the value that isn't wanted.
        negated = re.search(r"\b(too|not so)\b", user.text.lower())
        if not kind.endswith("text") and given != "imu" and not negated:
            said = read_text(user.text)
            assert not set(said) & set(dialogue.from_input), user.text
            assert all(said.get(name, value) == value for name, value in answer.items()), user.text
    assert told_alone > 100


@pytest.mark.parametrize("name", list(VALUES))
def test_edits_change_one_attribute(name: str) -> None:
    for dialogue in samples(f"edit:{name}", 100):
        made = [answers[0] for turn, answers in zip(dialogue.turns[1::2], dialogue.answers,
                                                   strict=True) if turn.media]  # fmt: skip
        before, after = made[0], made[-1]
        changed = {key for key in before if key in after and before[key] != after[key]}
        assert changed == {name}


def test_belonging_is_answered_by_the_things() -> None:
    answers = set()
    for dialogue in samples("image+audio>text", 100):
        things = {medium.scene.thing for medium in dialogue.turns[0].media}
        told = dialogue.answers[0][0]
        assert (told["answer"] == "yes") == (len(things) == 1)
        answers.add(told["answer"])
    assert answers == {"yes", "no"}


def test_a_moved_picture_takes_motion_from_the_movement() -> None:
    for dialogue in samples("image+imu>video", 100):
        media = {medium.modality: medium.attributes for medium in dialogue.turns[0].media}
        answer = dialogue.answers[0][0]
        assert answer["motion"] == media["imu"]["motion"]
        assert answer["thing"] == media["image"]["thing"]
        assert answer.get("tempo") == media["imu"].get("tempo")


@pytest.mark.parametrize("kind", ["talk", "unknown"])
def test_plain_talk_makes_nothing(kind: str) -> None:
    assert not any(turn.media for dialogue in samples(kind, 200) for turn in dialogue.turns)


def test_a_word_about_what_was_made_makes_nothing_again() -> None:
    for dialogue in samples("react", 200):
        assert [len(turn.media) for turn in dialogue.turns] == [0, 1, 0, 0]


def test_the_language_is_varied_and_small() -> None:
    words: set[str] = set()
    templates: set[str] = set()
    slots = re.compile(r"\b(" + "|".join(v for values in VALUES.values() for v in values) + r")\b")
    for dialogue in samples(None, 3000):
        for turn in dialogue.turns:
            words |= set(re.findall(r"[a-z']+", turn.text.lower()))
        for turn, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=True):
            if reply.media:
                templates.add(slots.sub("_", turn.text.lower().strip(".!?")))
    assert len(templates) >= 400
    assert len(words) < 5000  # words with slips count, too
    assert all(len(set(frames)) >= 30 for frames in replies.REPLY.values())
    stated = (requests.MAKE_VERBS, requests.WANT, requests.IT_VERBS, requests.LIKE_THIS)
    assert sum(len(frames) for table in stated for frames in table.values()) >= 140


def test_the_same_seed_gives_the_same_conversation() -> None:
    first, second = (sample_dialogue(np.random.default_rng(3)) for _ in range(2))
    assert first == second


def test_plain_rendering_shows_captions_where_the_assistant_sees_media() -> None:
    red = MediaItem(Scene("car", "red", "small", "left", "fast"), "image")
    green = MediaItem(red.scene.replace(color="green"), "image")
    dialogue = ReferenceDialogue(
        (
            DialogueTurn("user", (red, "draw it in green")),
            DialogueTurn("assistant", ("Here is a small green car: ", green)),
            DialogueTurn("user", ("what colour is it?",)),
            DialogueTurn("assistant", ("It is green.",)),
        ),
        "ask",
        (),
    )
    assert [turn.parts for turn in as_text(dialogue)] == [
        ("(a small red car)", "draw it in green"),
        ("Here is a small green car: ",),
        ("(a small green car)", "what colour is it?"),
        ("It is green.",),
    ]


def templates() -> set[str]:
    """Every form of the training grammar, whatever collection it stands in."""
    found: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, str):
            found.add(value.strip(" .?!,").lower())
        elif isinstance(value, dict):
            for item in value.values():
                collect(item)
        elif isinstance(value, tuple | list):
            for item in value:
                collect(item)

    for module in (attributes, requests, questions, replies, talk):
        for name, value in vars(module).items():
            if not name.startswith("__"):
                collect(value)
    return found


def test_paraphrases_share_no_template_with_the_training_grammar() -> None:
    written = [form for forms in (*NAMED.values(), *GIVEN.values()) for form in forms]
    assert len(set(written)) == len(written) >= 50
    known = templates()
    for form in written:
        assert form.strip(" .?!,").lower() not in known
        for wrap in requests.POLITE:
            assert form not in {wrap.replace("{v}", verb) for verb in known}


def test_no_request_of_the_training_grammar_is_a_paraphrase() -> None:
    for form in (form for table in (NAMED, GIVEN) for forms in table.values() for form in forms):
        assert is_paraphrase(form.replace("{x}", "a big red car").upper())
    for dialogue in samples(None, 3000):
        for turn in dialogue.turns:
            assert turn.role != "user" or not is_paraphrase(turn.text), turn.text


def test_what_stands_around_a_request_tells_of_no_attribute() -> None:
    rng = np.random.default_rng(0)
    draw = Draw(rng)
    around_nothing = {with_surroundings(draw, "") for _ in range(4000)}
    assert len(around_nothing) > 500
    assert not any(read_text(text).keys() - {"answer"} for text in around_nothing)


@pytest.mark.parametrize("unseen", [False, True])
def test_paraphrases_are_conversations_whose_answers_are_known(unseen: bool) -> None:
    rng = np.random.default_rng(0)
    dialogues = [sample_paraphrase(rng, unseen=unseen) for _ in range(200)]
    for dialogue in dialogues:
        request, reply = dialogue.turns
        assert "{" not in request.text
        (told,) = dialogue.answers[-1]
        assert told
        if reply.media:
            assert told.items() <= reply.media[0].attributes.items()
    assert {len(d.turns[1].media) for d in dialogues} == {0, 1}


def test_no_words_ask_for_one_attribute_and_for_all() -> None:
    for modality, forms in DESCRIBE_IT.items():
        for name, forms_of_one in {**ASK, "strength": ASK_STRENGTH}.items():
            assert not set(forms) & set(forms_of_one), (modality, name)
