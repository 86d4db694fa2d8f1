"""The Toybox as data sets: the same sample for the same seed, and nothing held out in any."""

from __future__ import annotations

import numpy as np
import pytest

from anymodal.media import IMU, Audio, Depth, Media
from anymodal.toybox import augmentation
from anymodal.toybox.augmentation import augment
from anymodal.toybox.dataset import (
    ToyboxDialogues,
    ToyboxEdits,
    ToyboxFrames,
    ToyboxMedia,
    ToyboxScenes,
    toybox_tokenizer,
)
from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.render import MODALITIES, render_scene
from anymodal.toybox.scene import Scene, all_scenes, is_held_out, sample_scene
from anymodal.types import Target


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_sample_depends_on_seed_and_index_alone(modality: str) -> None:
    first, again = ToyboxMedia(modality, 9, seed=1), ToyboxMedia(modality, 9, seed=1)
    again[7]  # another order of access
    assert first[3].media == again[3].media and first[3].caption == again[3].caption
    assert first[3].media != ToyboxMedia(modality, 9, seed=2)[3].media


@pytest.mark.parametrize("modality", MODALITIES)
def test_poorer_instruments_take_their_share(modality: str) -> None:
    clean, half, again, all_ = (
        ToyboxMedia(modality, 40, seed=1, augment_prob=share) for share in (0.0, 0.5, 0.5, 1.0)
    )
    taken = [half[index].media != clean[index].media for index in range(40)]
    assert 10 < sum(taken) < 30
    assert half[7].media == again[7].media
    for index in range(40):
        assert all_[index].media != clean[index].media
        assert all_[index].caption == clean[index].caption
        if taken[index]:
            assert half[index].media == all_[index].media


def test_poorer_instruments_are_no_worse_than_they_say() -> None:
    scene = sample_scene(np.random.default_rng(0))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sound, movement = render_scene(scene, "audio", rng), render_scene(scene, "imu", rng)
        dull, shaken = augment(sound, rng), augment(movement, rng)
        assert isinstance(dull, Audio) and isinstance(shaken, IMU)
        assert augmentation.MIN_CROP - 0.01 <= dull.duration / sound.duration <= 1
        assert augmentation.IMU_RATES[0] <= shaken.rate <= augmentation.IMU_RATES[1]
        assert shaken.duration >= 0.4
    with pytest.raises(TypeError, match="only Image, Audio, Video, IMU are augmented, not Depth"):
        augment(Depth(np.ones((4, 4), np.float32)), np.random.default_rng(0))


def test_media_of_the_training_split_hold_nothing_back() -> None:
    data = ToyboxMedia("image", 400, seed=0)
    assert not any(data.scene(index).held_out for index in range(len(data)))
    unseen = ToyboxMedia("image", 50, seed=0, unseen=True)
    assert all(unseen.scene(index).held_out for index in range(len(unseen)))


def test_dialogues_never_show_or_ask_for_what_is_held_out() -> None:
    data = ToyboxDialogues(600, seed=3)
    for index in range(len(data)):
        for turn in data.dialogue(index).turns:
            for part in turn.parts:
                if isinstance(part, MediaItem):
                    told = part.scene.observable(part.modality)
                    if "thing" in told:
                        pair = told["thing"], told.get("color"), told.get("motion")
                        assert not is_held_out(*pair), (index, told)


def test_dialogues_become_messages_with_media_and_targets() -> None:
    data = ToyboxDialogues(200, seed=4, kinds={"image>video": 1.0})
    messages = data[11]
    assert [message.role for message in messages] == ["user", "assistant"]
    assert any(isinstance(part, Media) for part in messages[0].content)
    (target,) = [part for part in messages[1].content if isinstance(part, Target)]
    assert target.modality == "video" and target.caption and target.media is not None


def test_users_give_what_poorer_instruments_took() -> None:
    kinds = {"image>image": 1.0}
    clean, worse = (ToyboxDialogues(20, seed=6, kinds=kinds, augment_prob=x) for x in (0.0, 1.0))
    for index in range(20):
        (asked, made), (again, same) = clean[index], worse[index]
        assert made.content == same.content
        for part, other in zip(asked.content, again.content, strict=True):
            assert (part != other) if isinstance(part, Media) else (part == other)


def test_plain_dialogues_hold_text_alone() -> None:
    data = ToyboxDialogues(50, seed=5, text_only=True)
    parts = [part for index in range(50) for message in data[index] for part in message.content]
    assert parts and all(isinstance(part, str) for part in parts)


def test_a_rendering_is_kept_so_that_what_is_computed_of_it_can_be_too() -> None:
    data = ToyboxDialogues(300, seed=6, kinds={"image>text": 1.0}, media_pool_size=168)
    digests = [data[index][0].media[0].digest() for index in range(300)]
    assert len(set(digests)) < 200  # 168 pictures can be told apart


def test_scenes_give_the_same_scene_to_every_modality() -> None:
    sample = ToyboxScenes(["image", "audio"], 8)[1][2]
    assert set(sample) == {"image", "audio"}
    assert sample["image"].caption.split()[-1] in sample["audio"].caption


def test_frames_are_pictures() -> None:
    assert ToyboxFrames(4, seed=1)[2].media.pixels.shape == (64, 64, 3)


def test_tokenizer_is_the_same_every_time() -> None:
    first, again = (toybox_tokenizer(400, count=200) for _ in range(2))
    assert first.get_vocab() == again.get_vocab()
    assert first.eos_token_id == max(first.get_vocab().values())


def test_unknown_values_and_modalities_are_named() -> None:
    with pytest.raises(ValueError, match="color='beige'"):
        Scene("ball", "beige", "big", "still", "slow")
    with pytest.raises(ValueError, match="not 'smell'"):
        render_scene(all_scenes()[0], "smell", np.random.default_rng(0))
    with pytest.raises(ValueError, match="no training scene"):
        sample_scene(np.random.default_rng(0), thing="ball", color="red")


def test_an_edit_changes_one_attribute_and_keeps_the_ground() -> None:
    edits = ToyboxEdits("image", 60, seed=3, plain=0.2)
    samples = [edits[index] for index in range(60)]
    assert 4 <= sum(not sample.references for sample in samples) <= 22
    identical = 0
    for index, sample in enumerate(samples):
        before, after = edits.source(index), edits.results.scene(index)
        changes = [name for name in vars(after) if getattr(before, name) != getattr(after, name)]
        assert len(changes) <= 1 and set(changes) <= {"thing", "color", "size"}
        assert not after.held_out
        for reference in sample.references:
            corner, same = reference.pixels[:4, :4], sample.media.pixels[:4, :4]
            assert np.array_equal(corner, same)
            identical += np.array_equal(reference.pixels, sample.media.pixels)
    assert 1 <= identical <= 12


@pytest.mark.parametrize("modality", ["image", "video"])
def test_edits_on_other_grounds_change_what_is_asked_for_alone(modality: str) -> None:
    edits = ToyboxEdits(modality, 12, seed=3, plain=0.0, varied=1.0)
    plain = ToyboxEdits(modality, 12, seed=3, plain=0.0)
    for index in range(12):
        sample = edits[index]
        (source,) = sample.references
        before, after = edits.source(index), edits.results.scene(index)
        frames = [
            each.pixels[None] if modality == "image" else each.frames
            for each in (source, sample.media)
        ]
        share = (np.abs(frames[0].astype(int) - frames[1]).max(-1) > 8).mean()
        # A thing of another size has another shadow, and one that moves otherwise is elsewhere.
        assert share < 0.5 if before != after else share == 0
        assert sample.media != plain[index].media and sample.caption == plain[index].caption


def test_a_share_of_frames_are_on_other_grounds() -> None:
    plain, varied = ToyboxFrames(30, seed=1), ToyboxFrames(30, seed=1, varied=0.5)
    corners = [np.ptp(varied[k].media.pixels[:3, :3].mean((0, 1))) for k in range(30)]
    assert sum(corner > 15 for corner in corners) >= 4
    assert all(np.ptp(plain[k].media.pixels[:3, :3].mean((0, 1))) <= 15 for k in range(30))


def test_a_clip_may_be_made_from_its_first_frame() -> None:
    edits = ToyboxEdits("video", 6, seed=3, plain=0.0, first_frames=1.0)
    for index in range(6):
        (picture,) = edits[index].references
        assert np.array_equal(picture.pixels, edits[index].media.frames[0])
    with pytest.raises(ValueError, match="first_frames=0.5"):
        ToyboxEdits("image", 6, first_frames=0.5)
