"""What training relies on in every generated data set: frames by index alone, and boxes that fit the targets."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr.dataset.animated_stills import AnimatedStills
from ltr.dataset.generated import GeneratedVideos
from ltr.dataset.rendering.difficulty import Difficulty
from ltr.dataset.rendering.draw import draw_actor
from ltr.dataset.synthetic_video import SyntheticVideo
from ltr.dataset.synthetic_video.backgrounds import paint_background

SIZE = (120, 160)
NUM_FRAMES = 12
KINDS = ("stills", "synthetic")


def write_photos(folder: Path, count: int = 12) -> tuple[Path, Path]:
    """Folders of `count` painted photos and of a region map for every third."""
    photos, regions = folder / "photos", folder / "regions"
    photos.mkdir()
    regions.mkdir()
    for number in range(count):
        picture = paint_background(np.random.default_rng(number))
        cv2.imwrite(str(photos / f"photo_{number:02d}.png"), picture[..., ::-1])
        if number % 3 == 0:
            labels = np.arange(picture.shape[0])[:, None] // 48 * 8 + np.arange(picture.shape[1]) // 48
            cv2.imwrite(str(regions / f"photo_{number:02d}.png"), labels.astype(np.uint8))
    return photos, regions


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_photos(tmp_path_factory.mktemp("stills"))


def make(
    kind: str, photos: tuple[Path, Path], seed: int = 0, difficulty: Difficulty | None = None, count: int = 200
) -> GeneratedVideos:
    if kind == "stills":
        return AnimatedStills(*photos, count, NUM_FRAMES, SIZE, seed, difficulty)
    return SyntheticVideo(count, NUM_FRAMES, SIZE, seed, difficulty)


@pytest.fixture(scope="module")
def videos_of(photos: tuple[Path, Path]) -> dict[str, GeneratedVideos]:
    """One data set of each kind with default settings, so that its pictures are painted once for many tests."""
    return {kind: make(kind, photos) for kind in KINDS}


def digest(frames: list[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(frame.tobytes() for frame in frames)).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_types(kind: str, videos_of: dict[str, GeneratedVideos]) -> None:
    videos = videos_of[kind]
    assert len(videos) == 200
    info = videos.sequence_info(3)
    assert info.boxes.shape == (NUM_FRAMES, 4)
    assert info.boxes.dtype == np.float32
    assert np.isfinite(info.boxes).all()
    assert (info.boxes[:, 2:] > 0).all()
    assert info.visible.shape == (NUM_FRAMES,)
    assert info.visible.dtype == np.bool_
    assert info.name
    frames = videos.frames(3, [5, 0, 5])
    assert [frame.shape for frame in frames] == [(*SIZE, 3)] * 3
    assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(frames[0], frames[2])
    assert (frames[0] != frames[1]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_depends_on_its_index_alone(kind: str, photos: tuple[Path, Path]) -> None:
    one, other = make(kind, photos), make(kind, photos)
    forwards = {seq: digest(one.frames(seq, [2, 9])) for seq in range(6)}
    boxes = {seq: one.sequence_info(seq).boxes for seq in range(6)}
    for seq in reversed(range(6)):  # another order, frames before boxes, each frame in a call of its own
        assert digest(other.frames(seq, [2]) + other.frames(seq, [9])) == forwards[seq]
        np.testing.assert_array_equal(other.sequence_info(seq).boxes, boxes[seq])
    longer = make(kind, photos, count=1000)
    assert digest(longer.frames(5, [2, 9])) == forwards[5]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_in_another_process(kind: str, photos: tuple[Path, Path]) -> None:
    videos = make(kind, photos)
    here = [digest(videos.frames(seq, [1, 7])) for seq in range(3)]  # fills caches, which must not travel
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = [digest(pool.apply(videos.frames, (seq, [1, 7]))) for seq in range(3)]
    assert there == here


@pytest.mark.parametrize("kind", KINDS)
def test_global_generators_are_neither_used_nor_moved(kind: str, photos: tuple[Path, Path]) -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    cv2.setRNGSeed(1)
    first = digest(make(kind, photos).frames(5, [3]))
    after = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert after == (random.random(), np.random.random())  # noqa: NPY002
    cv2.setRNGSeed(99)
    assert digest(make(kind, photos).frames(5, [3])) == first


@pytest.mark.parametrize("kind", KINDS)
def test_another_seed_gives_other_videos(kind: str, photos: tuple[Path, Path]) -> None:
    assert digest(make(kind, photos).frames(0, [0])) != digest(make(kind, photos, seed=1).frames(0, [0]))


@pytest.mark.parametrize(
    ("kind", "count"),
    [("stills", 200), ("synthetic", 50), pytest.param("synthetic", 200, marks=pytest.mark.slow)],
)
def test_boxes_are_tight(kind: str, count: int, videos_of: dict[str, GeneratedVideos]) -> None:
    videos = videos_of[kind]
    errors = []
    for seq in range(count):
        frame = seq % NUM_FRAMES
        x, y, w, h = videos.sequence_info(seq).boxes[frame]
        if x < 2 or y < 2 or x + w > SIZE[1] - 2 or y + h > SIZE[0] - 2:
            continue  # the mask is cut off by the frame
        rows, columns = np.nonzero(videos.scene(seq).target_mask(frame) > 127)
        found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        errors.append(np.abs(np.subtract(found, (x, y, x + w, y + h))).max())
    assert len(errors) > count / 2
    assert max(errors) <= 1.5
    assert np.mean(errors) < 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_is_drawn_where_its_box_is(kind: str, photos: tuple[Path, Path]) -> None:
    videos = make(kind, photos, difficulty=Difficulty(in_place=0.0, look=0.0, occluders=0.0, distractors=0.0))
    for seq in range(8):
        scene = videos.scene(seq)
        empty = replace(scene, actors=(replace(scene.actors[scene.target], drawn=False),), target=0)
        rng = np.random.default_rng(0)
        changed = (scene.draw(4, rng) != empty.draw(4, rng)).any(axis=2)
        x, y, w, h = scene.boxes[4]
        margin = 4  # soft edges
        inside = np.zeros(SIZE, bool)
        inside[max(int(y) - margin, 0) : int(y + h) + margin, max(int(x) - margin, 0) : int(x + w) + margin] = True
        assert changed.any()
        assert not (changed & ~inside).any()


def test_the_visible_share_is_what_is_seen(photos: tuple[Path, Path]) -> None:
    hard = Difficulty(occluders=2.0, distractors=2.0, leave_frame=1.0, in_place=0.1)
    videos = make("stills", photos, difficulty=hard)
    errors, shares = [], []
    for seq in range(30):
        scene = videos.scene(seq)
        boxes = scene.boxes[6]
        if boxes[0] < 0 or boxes[1] < 0 or boxes[0] + boxes[2] > SIZE[1] or boxes[1] + boxes[3] > SIZE[0]:
            continue
        target = scene.target_mask(6) > 127
        hidden = np.zeros((*SIZE, 3), np.uint8)
        for actor in scene.actors[scene.target + 1 :]:
            white = tuple(
                replace(p, sprite=p.sprite.with_colours(np.full_like(p.sprite.rgba[..., :3], 255))) for p in actor.parts
            )
            draw_actor(hidden, replace(actor, parts=white, gain=None, soft=0.0, shutter=0.0), 6)
        seen = (target & (hidden[..., 0] < 128)).sum() / target.sum()
        shares.append(seen)
        errors.append(abs(float(scene.visible_share(np.array([6]))[0]) - seen))
    assert min(shares) < 0.5 < max(shares)
    assert np.mean(errors) < 0.08


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_target_outside_is_half_visible(kind: str, photos: tuple[Path, Path]) -> None:
    videos = make(kind, photos, difficulty=Difficulty(in_place=0.0, occluders=0.0, distractors=0.0))
    scene = videos.scene(1)
    target = scene.actors[scene.target]
    x, _, w, _ = scene.boxes[0]
    moved = replace(target.poses, centre=target.poses.centre - np.array([x + 0.5 * w, 0.0]))
    cut = replace(scene, actors=(replace(target, poses=moved),), target=0)
    assert 0.2 < cut.visible_share(np.array([0]))[0] < 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_consecutive_frames_follow_one_another(kind: str, videos_of: dict[str, GeneratedVideos]) -> None:
    videos = videos_of[kind]
    overlaps = []
    for seq in range(30):
        boxes = videos.sequence_info(seq).boxes.astype(np.float64)
        low = np.maximum(boxes[1:, :2], boxes[:-1, :2])
        high = np.minimum(boxes[1:, :2] + boxes[1:, 2:], boxes[:-1, :2] + boxes[:-1, 2:])
        both = np.maximum(high - low, 0).prod(axis=1)
        overlaps.append(both / (boxes[1:, 2:].prod(axis=1) + boxes[:-1, 2:].prod(axis=1) - both))
    assert np.median(overlaps) > 0.8
    assert np.percentile(overlaps, 1) > 0.1  # a small target before a shaking camera


@pytest.mark.parametrize("kind", KINDS)
def test_most_targets_are_visible(kind: str, videos_of: dict[str, GeneratedVideos]) -> None:
    videos = videos_of[kind]
    visible = np.array([videos.sequence_info(seq).visible.mean() for seq in range(50)])
    assert visible.mean() > 0.85
    assert (visible > 0.2).mean() > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_target_appears(kind: str, videos_of: dict[str, GeneratedVideos]) -> None:
    videos = videos_of[kind]
    targets = [videos.scene(seq).actors[videos.scene(seq).target] for seq in range(25)]
    assert any(not target.drawn for target in targets)
    assert any(len(target.parts) == 6 for target in targets)  # a walking figure
    assert any(target.waves is not None for target in targets)
    assert any(target.roll is not None for target in targets)


@pytest.mark.parametrize("kind", KINDS)
def test_out_of_range(kind: str, videos_of: dict[str, GeneratedVideos]) -> None:
    videos = videos_of[kind]
    with pytest.raises(IndexError, match="sequence 200 of 200"):
        videos.sequence_info(200)
    with pytest.raises(IndexError, match="sequence -1"):
        videos.frames(-1, [0])
    with pytest.raises(IndexError, match="frame 12 of sequence 0"):
        videos.frames(0, [0, NUM_FRAMES])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_sequences": 0}, "num_sequences"),
        ({"num_frames": 0}, "num_frames"),
        ({"size": (20, 300)}, "size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SyntheticVideo(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [{"speed": (0.0, 0.1)}, {"target_side": (50, 20)}, {"in_place": 0.7, "walker": 0.6}, {"look": -1.0}, {"turn": 9.0}],
)
def test_difficulty_is_checked(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Difficulty(**change)  # type: ignore[arg-type]


def test_a_video_of_one_frame() -> None:
    videos = SyntheticVideo(3, 1, SIZE)
    assert videos.frames(2, [0])[0].shape == (*SIZE, 3)
    assert videos.sequence_info(2).boxes.shape == (1, 4)
