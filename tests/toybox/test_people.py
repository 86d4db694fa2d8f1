"""Conversations as people have them: the words, what they mean, and what replies are made from."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from anymodal.toybox.conditions.outside import OUTSIDE
from anymodal.toybox.dataset import FORGOTTEN, ToyboxDialogues
from anymodal.toybox.grammar import normalized
from anymodal.toybox.grammar.dialogues import KINDS, MAX_POINTED, join_dialogues, sample_dialogue
from anymodal.toybox.grammar.people_requests import people_request
from anymodal.toybox.grammar.phrases.unknown import OUTSIDE_REPLIES, UNKNOWN_THINGS
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.typos import mistype, slips
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.oracles.text import VALUE_WORDS, read_text, score_text
from anymodal.toybox.scene import DEFAULT_COLOR, DEFAULTS

ROOT = Path(__file__).parents[2]
GENERATED = ("image", "audio", "video")


@cache
def samples(kind: str, count: int, seed: int = 3) -> tuple[ReferenceDialogue, ...]:
    rng = np.random.default_rng(seed)
    return tuple(sample_dialogue(rng, kind=kind, slips=False) for _ in range(count))


def stated_in(text: str) -> dict[str, str]:
    """What a request states; "no" and "so no" aren't answers there."""
    stated = read_text(text)
    stated.pop("answer", None)
    return stated


def drawing(seed: int = 0) -> SceneSampler:
    return SceneSampler(Draw(np.random.default_rng(seed)), unseen=False, slips=False)


def test_rules_draw_alternatives_by_weight_and_write_good_spaces() -> None:
    rules = Rules({"s": ("3: a {n} [now|]", "one , {n}"), "n": ("egg", "cup")})
    texts = {rules.expand(drawing(seed), "s") for seed in range(200)}
    assert texts == {"an egg now", "an egg", "a cup now", "a cup", "one, egg", "one, cup"}
    assert rules.expand(drawing(), "s", {"n": "orange"}).count("orange") == 1
    assert tidy(" a  orange , please ") == "an orange, please"
    share = np.mean([rules.expand(drawing(seed), "s").startswith("a") for seed in range(400)])
    assert 0.68 < share < 0.82


def test_a_slip_never_makes_a_word_for_another_value() -> None:
    for word, value in VALUE_WORDS.items():
        if len(word) < 3:
            continue
        for slip in slips(word):
            assert slip not in VALUE_WORDS and slip != word
            close = {other for other in VALUE_WORDS if _one_apart(other, slip)}
            assert {VALUE_WORDS[other] for other in close} <= {value}
    assert "ball" not in slips("bell") and "bll" not in slips("ball") and "duvk" in slips("duck")
    assert mistype(drawing(), "a b, not one but Tom's") == "a b, not one but Tom's"
    assert "rde" in slips("red") and "teh" in slips("the") and "rdaw" in slips("draw")
    assert "cat" not in slips("car")
    slipped = mistype(drawing(), "draw the red bird", 4).split()
    assert all(a != b for a, b in zip(slipped, ["draw", "the", "red", "bird"], strict=True))


def _one_apart(a: str, b: str) -> bool:
    """Return whether two words differ by a letter, or by two neighbours in the other order."""
    short, long = sorted((a, b), key=len)
    if a == b or len(long) > len(short) + 1:
        return False
    i = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(short) < len(long):
        return short[i:] == long[i + 1 :]
    swapped = short[i : i + 2] == long[i : i + 2][::-1] and short[i + 2 :] == long[i + 2 :]
    return short[i + 1 :] == long[i + 1 :] or swapped


@pytest.mark.parametrize("modality", GENERATED)
def test_requests_state_their_attributes_in_hundreds_of_forms(modality: str) -> None:
    scenes, forms = drawing(), set()
    for _ in range(3000):
        scene = scenes.sample((modality,))
        names = scene.observable(modality)
        scene, stated = scenes.omit_defaults(scene, names, (modality,), (modality,))
        text = people_request(scenes, modality, stated)
        forms.add(text)
        assert stated_in(text) == stated, text
    assert len(forms) > 2900


def test_contrasts_name_the_right_value_and_never_a_held_out_pair() -> None:
    contrasts = 0
    for dialogue in samples("people", 1500):
        answer, said = dialogue.answers[0][0], stated_in(dialogue.turns[0].text)
        usual = {**DEFAULTS, "color": DEFAULT_COLOR[answer["thing"]]}
        for name, value in said.items():
            values = value.split(" and ")
            contrasts += len(values) > 1
            # "not big" names the other of two values.
            assert answer.get(name) in values or name in ("size", "tempo"), dialogue.turns[0].text
        assert all(answer[name] == usual[name] for name in answer if name not in said)
    assert contrasts > 40


def test_edits_change_what_they_say_and_point_at_their_source() -> None:
    edits = again = converted = 0
    for kind in ("people:edit", "people:undo"):
        for dialogue in samples(kind, 300):
            media = [item for turn in dialogue.turns for item in turn.media]
            for item in media[1:]:
                if not item.references:
                    again += 1
                    continue
                source = media[item.references[0]]
                if source.modality == item.modality:
                    before, after = source.attributes, item.attributes
                    changes = {n for n in after if n in before and before[n] != after[n]}
                    assert len(changes) <= 2
                    edits += len(changes)
                else:
                    assert (source.modality, item.modality) == ("image", "video")
                    assert source.attributes.items() <= item.attributes.items()
                    converted += 1
    assert edits > 400 and again > 50 and converted > 4


@pytest.mark.parametrize("kind", list(KINDS))
def test_references_name_media_of_earlier_messages(kind: str) -> None:
    for dialogue in samples(kind, 60):
        shown = []
        for turn in dialogue.turns:
            for item in turn.media:
                assert all(0 <= number < len(shown) for number in item.references)
                assert not item.references or turn.role == "assistant"
                for number in item.references:
                    kinds = shown[number].modality, item.modality
                    assert kinds[0] == kinds[1] or kinds == ("image", "video")
            shown += turn.media


def test_references_count_on_where_conversations_follow_each_other() -> None:
    first, second = samples("people:edit", 2)
    joined = join_dialogues([first, second])
    media = [item for turn in joined.turns for item in turn.media]
    count = sum(len(turn.media) for turn in first.turns)
    own = [item for turn in second.turns for item in turn.media]
    for item, shifted in zip(own, media[count:], strict=True):
        assert shifted.references == tuple(number + count for number in item.references)
    gone = samples("forgotten", 1)[0]
    assert join_dialogues([first, gone, second]) == gone


def test_a_first_request_and_another_one_are_made_from_nothing() -> None:
    for dialogue in samples("people", 100) + samples("tempting", 100):
        assert not any(item.references for turn in dialogue.turns for item in turn.media)


def test_several_media_come_in_one_reply() -> None:
    counts = [len(dialogue.turns[1].media) for dialogue in samples("several", 300)]
    assert set(counts) == {2, 3, 4}
    orders = {tuple(item.modality for item in d.turns[1].media) for d in samples("several", 300)}
    assert ("image", "image") in orders and ("video", "audio") in orders


def test_what_is_outside_makes_nothing_and_what_is_inside_is_made() -> None:
    for kind in ("outside", "outside:file", "compound", "compare"):
        dialogues = samples(kind, 150)
        assert not any(turn.media for d in dialogues for turn in d.turns[-1:])
    assert all(dialogue.turns[-1].media for dialogue in samples("tempting", 150))
    assert not set(UNKNOWN_THINGS) & set(VALUE_WORDS) and len(UNKNOWN_THINGS) > 250
    assert {kind for kinds in OUTSIDE.values() for kind in kinds} == set(OUTSIDE_REPLIES)


def test_comparisons_are_answered_by_what_the_media_show() -> None:
    forms, verdicts = set(), Counter[str]()
    for dialogue in samples("compare", 1500):
        question, answer = dialogue.turns[-2:]
        (expected,) = dialogue.answers[-1]
        assert all(score_text(answer.text, expected).values()), answer.text
        assert not re.search(r"[\[\]{}|]", question.text)
        shown = [item.attributes for turn in dialogue.turns for item in turn.media]
        for name in set(expected) - {"answer", "which"}:
            assert set(expected[name].split(" and ")) <= {each.get(name) for each in shown}
        forms.add(question.text)
        verdicts[expected.get("answer") or expected.get("which") or "told"] += 1
    assert len(forms) > 1300
    assert min(verdicts[word] for word in ("yes", "no", "first", "second", "third")) > 20
    assert 0.5 < verdicts["yes"] / verdicts["no"] < 1.4


def test_long_conversations_have_up_to_twenty_four_turns_and_remember() -> None:
    dialogues = samples("long", 60)
    lengths = [len(dialogue.turns) // 2 for dialogue in dialogues]
    assert min(lengths) >= 8 and max(lengths) >= 20
    distant = 0
    for dialogue in dialogues:
        starts: list[int] = []
        for place, turn in enumerate(dialogue.turns):
            for item in turn.media:
                distant += any(place - starts[number] > 8 for number in item.references)
            starts += [place] * len(turn.media)
    assert distant > 20


def test_nano_is_configured_as_its_conversations_are() -> None:
    config = yaml.safe_load((ROOT / "configs/models/nano.yaml").read_text())
    assert config["history_notice"] == FORGOTTEN
    assert config["num_pointers"] == MAX_POINTED and config["history_turns"] == 24


def test_a_conversation_whose_beginning_is_gone_says_so() -> None:
    data = ToyboxDialogues(8, seed=1, kinds={"forgotten": 1.0}, text_only=True, max_joined=3)
    for index in range(8):
        messages = data[index]
        assert [message.text.count(FORGOTTEN) for message in messages] == [1] + [0] * (
            len(messages) - 1
        )
        assert re.search(r"forgot|long|only remember", messages[-1].text)


def test_media_from_outside_are_rendered_and_targets_have_references() -> None:
    data = ToyboxDialogues(20, seed=1, kinds={"outside:file": 1.0, "people:undo": 1.0})
    conversations = [data[index] for index in range(20)]
    for index, messages in enumerate(conversations):
        items = [part for turn in data.dialogue(index).turns for part in turn.media]
        parts = [part for message in messages for part in message.content if hasattr(part, "media")]
        assert [part.references for part in parts] == [
            item.references for item in items if not item.outside
        ]
        if items[0].outside:
            assert len(messages[0].media) == 1


def test_no_message_is_a_sentence_of_a_measuring_set(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    first = sample_dialogue(rng, kind="people")
    digest = normalized.text_digest(first.turns[0].text)
    monkeypatch.setattr(normalized, "reserved_digests", lambda: frozenset({digest}))
    second = sample_dialogue(np.random.default_rng(5), kind="people")
    assert second.turns[0].text != first.turns[0].text
