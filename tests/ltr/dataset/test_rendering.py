"""Motion, deformation, silhouettes and effects, each against what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from ltr.dataset.rendering.actor import Actor, Part
from ltr.dataset.rendering.curves import CurveBank, smooth_curves, wandering_path
from ltr.dataset.rendering.deform import random_waves
from ltr.dataset.rendering.draw import draw_actor, motion_kernel
from ltr.dataset.rendering.effects import apply_look, random_look
from ltr.dataset.rendering.geometry import Poses, local_scale, shift, transform
from ltr.dataset.rendering.material import Tone, blend_in, recolour
from ltr.dataset.rendering.pictures import pyramid, scaled_window
from ltr.dataset.rendering.shapes import fill_outline, radial_mask, random_radius
from ltr.dataset.rendering.sprite import make_sprite


def still_poses(centre: tuple[float, float], frames: int = 3, scale: float = 1.0, angle: float = 0.0) -> Poses:
    flat = np.zeros(frames)
    return Poses(
        np.tile(centre, (frames, 1)).astype(float), np.full((frames, 2), scale), flat + angle, flat, flat, 1e6
    )


def random_poses(rng: np.random.Generator, frames: int = 5) -> Poses:
    return Poses(
        rng.uniform(50, 90, (frames, 2)),
        rng.uniform(0.5, 2, (frames, 2)),
        *rng.uniform(-1, 1, (3, frames)),
        focal=150.0,
        origin=(7.0, -3.0),
    )


def test_smooth_curves_stay_in_bounds_and_move_slowly() -> None:
    curves = smooth_curves(np.random.default_rng(0), 50, 100, (40.0, 200.0))
    assert curves.shape == (50, 100)
    assert np.abs(curves).max() <= 1.0
    assert np.abs(np.diff(curves, axis=1)).max() < 2 * np.pi / 40


def test_a_curve_bank_gives_each_curve_once() -> None:
    bank = CurveBank(np.random.default_rng(0), 20)
    curves = np.concatenate([bank.take(20), bank.take(20), bank.one()[None]])
    assert curves.shape == (41, 20)
    assert len(np.unique(curves[:, 3])) == 41
    assert np.abs(curves).max() <= 1.0


@pytest.mark.parametrize("speed", [0.1, 3.0, 40.0])
def test_a_path_stays_in_its_room(speed: float) -> None:
    for seed in range(10):
        path = wandering_path(np.random.default_rng(seed), 50, speed, (10.0, 20.0, 110.0, 60.0))
        assert path.shape == (50, 2)
        assert (path >= np.array([10.0, 20.0]) - 1e-6).all()
        assert (path <= np.array([110.0, 60.0]) + 1e-6).all()


def test_one_pose_is_the_same_as_many() -> None:
    poses = random_poses(np.random.default_rng(1))
    many = poses.at(np.arange(5))
    for frame in range(5):
        np.testing.assert_allclose(poses.matrix(frame), many[frame], rtol=1e-12, atol=1e-12)


def test_poses_are_a_turn_in_space() -> None:
    """Against the definition: rotate a point of the plane in space, then divide by its depth."""
    poses = random_poses(np.random.default_rng(2), 1)
    yaw, pitch, angle = float(poses.yaw[0]), float(poses.pitch[0]), float(poses.angle[0])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    point = np.array([12.0, -5.0])
    x, y, z = about_z @ about_y @ about_x @ np.append((point - poses.origin) * poses.scale[0], 0.0)
    expected = np.array([x, y]) / (1 + z / poses.focal) + poses.centre[0]
    np.testing.assert_allclose(transform(poses.matrix(0), point[:, None])[:, 0], expected)


def test_local_scale_measures_small_areas() -> None:
    matrices = random_poses(np.random.default_rng(3)).at(np.arange(5))
    corners = 1e-4 * np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    at = transform(matrices, corners)
    sides = at[:, :, 1:] - at[:, :, :1]
    np.testing.assert_allclose(local_scale(matrices), np.sqrt(np.abs(np.linalg.det(sides))) / 1e-4, rtol=1e-3)


def test_a_swinging_part_in_one_frame_and_in_many() -> None:
    part = Part(
        make_sprite(np.zeros((6, 6, 3), np.uint8), np.full((6, 6), 255, np.uint8)),
        (3.0, 4.0),
        np.linspace(-1, 1, 7),
        (10.0, -2.0),
    )
    many = part.placing(np.arange(7))
    for frame in range(7):
        np.testing.assert_allclose(part.placing_in(frame), many[frame], atol=1e-12)
    pivot = np.array([[10.0], [-2.0]])
    before = pivot - np.array([[3.0], [4.0]])  # the sprite's pixel that lies on the pivot
    np.testing.assert_allclose(transform(many, before)[:, :, 0], np.tile(pivot.T, (7, 1)), atol=1e-9)


@pytest.mark.parametrize("strength", [0.1, 0.55])
def test_waves_have_an_inverse(strength: float) -> None:
    rng = np.random.default_rng(4)
    waves = random_waves(rng, 60.0, strength)
    points = rng.uniform(-40, 40, (3, 2, 200))
    frames = np.array([0, 10, 50])
    bent = waves.forward(points, frames)
    assert np.abs(bent - points).max() > 0.5
    assert np.abs(waves.inverse(bent, frames) - points).max() < 0.2


def test_masks_fill_their_box() -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        mask = radial_mask(40, 25, random_radius(rng))
        rows, columns = np.nonzero(mask > 60)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((0, 39, 0, 24), abs=1)


def test_an_outline_keeps_its_area() -> None:
    square = fill_outline(30, 20, np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
    assert square.mean() > 240
    triangle = fill_outline(100, 100, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    assert triangle.mean() / 255 == pytest.approx(0.5, abs=0.03)


def test_a_silhouette_that_vanished_becomes_a_block() -> None:
    sprite = make_sprite(np.zeros((5, 7, 3), np.uint8), np.zeros((5, 7), np.uint8))
    assert (sprite.alpha[1:-1, 1:-1] == 255).all()
    assert sprite.alpha[0].max() == 0


def test_boxes_count_whole_pixels() -> None:
    alpha = np.zeros((12, 14), np.uint8)
    alpha[2:10, 3:9] = 255
    sprite = make_sprite(np.full((12, 14, 3), 200, np.uint8), alpha)
    actor = Actor((Part(sprite, (0.0, 0.0)),), still_poses((20.0, 30.0)))
    np.testing.assert_allclose(actor.boxes(np.array([0]))[0], [23, 32, 6, 8])
    canvas = np.zeros((60, 60, 3), np.uint8)
    draw_actor(canvas, actor, 0)
    rows, columns = np.nonzero(canvas[..., 0])
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (23, 32, 29, 40)
    assert (canvas[32:40, 23:29] == 200).all()


def test_a_bent_and_a_stiff_body_are_drawn_alike_where_waves_vanish() -> None:
    rng = np.random.default_rng(6)
    rgb = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
    alpha = np.zeros((40, 40), np.uint8)
    alpha[4:36, 4:36] = 255
    part = Part(make_sprite(rgb, alpha), (-20.0, -20.0))
    poses = still_poses((50.0, 45.0), angle=0.3, scale=1.2)
    stiff, bent = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100, 3), np.uint8)
    draw_actor(stiff, Actor((part,), poses), 1)
    draw_actor(bent, Actor((part,), poses, random_waves(rng, 40.0, 1e-6)), 1)
    assert np.abs(stiff.astype(int) - bent).mean() < 1.0


def test_a_roll_moves_the_texture_and_keeps_the_silhouette() -> None:
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[:, ::6] = 255
    alpha = np.zeros((40, 60), np.uint8)
    alpha[5:35, 15:45] = 255
    part = Part(make_sprite(rgb, alpha), (-29.5, -19.5))
    roll = np.array([0.0, 0.25])
    canvases = []
    for frame in range(2):
        canvas = np.full((100, 100, 3), 128, np.uint8)
        draw_actor(canvas, Actor((part,), still_poses((50.0, 50.0), 2), roll=roll, radius=15.0), frame)
        canvases.append(canvas)
    assert (canvases[0][50] != canvases[1][50]).any()
    assert all((canvas[:34] == 128).all() and (canvas[:, :34] == 128).all() for canvas in canvases)


@pytest.mark.parametrize("centre", [(-500.0, 20.0), (20.0, 900.0), (0.0, 0.0), (59.0, 59.0)])
def test_drawing_at_and_beyond_the_border(centre: tuple[float, float]) -> None:
    part = Part(make_sprite(np.full((20, 20, 3), 255, np.uint8), np.full((20, 20), 255, np.uint8)), (-9.5, -9.5))
    for waves in (None, random_waves(np.random.default_rng(0), 20.0, 0.3)):
        canvas = np.zeros((60, 60, 3), np.uint8)
        draw_actor(canvas, Actor((part,), still_poses(centre), waves, shutter=0.5, soft=1.0), 1)
        assert canvas.any() == (abs(centre[0]) < 100 and centre[1] < 100)


def test_motion_kernels_keep_the_brightness() -> None:
    assert motion_kernel(np.array([0.5, 0.5]), 9.0) is None
    for step in ((3.0, 0.0), (0.0, -40.0), (5.0, 5.0)):
        kernel = motion_kernel(np.array(step), 9.0)
        assert kernel is not None
        assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
        assert max(kernel.shape) <= 13


def test_blending_in_reaches_the_tone() -> None:
    rng = np.random.default_rng(7)
    rgb = rng.normal(120, 20, (60, 60, 3)).clip(0, 255).astype(np.uint8)
    tone = Tone(np.array([[80.0], [100.0], [150.0]]), np.array([[15.0], [15.0], [15.0]]), 1.0)
    blended = blend_in(rgb, None, tone)
    np.testing.assert_allclose(blended.mean(axis=(0, 1)), [80, 100, 150], atol=1.5)
    np.testing.assert_array_equal(blend_in(rgb, None, Tone(tone.mean, tone.std, 0.0)), rgb)


def test_recolouring_by_nothing_changes_next_to_nothing() -> None:
    rng = np.random.default_rng(8)
    rgb = rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)
    assert np.abs(recolour(rgb, rng, 0.0).astype(int) - rgb).max() <= 6  # 8 bits of hue
    assert (recolour(rgb, rng, 0.8) != rgb).any()


def test_a_pyramid_serves_every_scale() -> None:
    ramp = np.repeat(np.linspace(0, 255, 160).astype(np.uint8)[None], 120, axis=0)
    levels = pyramid(np.dstack([ramp] * 3))
    assert [level.shape[:2] for level in levels] == [(120, 160), (60, 80), (30, 40)]
    for size in ((120, 90), (70, 50), (33, 21), (7, 5)):
        piece = scaled_window(levels, (20, 10, 140, 100), size)
        assert piece.shape == (size[1], size[0], 3)
        assert piece.mean() == pytest.approx(ramp[:, 20:140].mean(), abs=4)


def test_a_clean_look_leaves_the_frame_alone() -> None:
    rng = np.random.default_rng(9)
    frame = rng.integers(0, 255, (64, 80, 3), dtype=np.uint8)
    look = random_look(rng, CurveBank(rng, 5), 0.0, np.zeros((5, 2)))
    clean = type(look)(**{**vars(look), "quality": None, "grey": False})
    np.testing.assert_array_equal(apply_look(frame, clean, 2, rng), frame)


def test_noise_has_the_strength_asked_for() -> None:
    rng = np.random.default_rng(10)
    look = random_look(rng, CurveBank(rng, 5), 0.0, np.zeros((5, 2)))
    grey = np.full((200, 200, 3), 128, np.uint8)
    for coarse in (False, True):
        noisy = type(look)(**{**vars(look), "quality": None, "grey": False, "noise": 6.0, "coarse": coarse})
        assert apply_look(grey, noisy, 1, rng).std() == pytest.approx(6.0, rel=0.1)


def test_looks_differ_and_keep_the_shape() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    seen = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        look = random_look(rng, CurveBank(rng, 5), 1.5, rng.normal(0, 3, (5, 2)))
        out = apply_look(frame, look, 3, rng)
        assert out.shape == frame.shape
        assert out.dtype == np.uint8
        seen.add(out.tobytes())
    assert len(seen) == 20


def test_shift_is_a_translation() -> None:
    np.testing.assert_allclose(transform(shift((3.0, -2.0)), np.array([[1.0], [1.0]])), [[4.0], [-1.0]])
