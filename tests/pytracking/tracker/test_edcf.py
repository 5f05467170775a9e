"""The EDCF tracker with a small random net: localisation, scale, update, and its agreement with itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.admin.errors import UserError
from ltr.models.tracking.edcf import EDCFNet, edcf
from pytracking.parameter.edcf import cacfnet, cfnet, edsiam, paper, siamfc
from pytracking.tracker.edcf.localize import find_peak, resample_features, resample_response
from pytracking.tracker.edcf.params import EDCFParams
from pytracking.tracker.edcf.tracker import EDCFTracker

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "edcf" / "correlation_filter.npz")


def small_net(**arguments: object) -> EDCFNet:
    torch.manual_seed(0)
    return edcf(width=0.125, **{"decoder": False, **arguments}).eval()


def moving_texture(shift: tuple[int, int] = (0, 0), scale: float = 1.0) -> np.ndarray:
    """A textured square of 40 pixels at (100, 80) on a smooth ramp, shifted and scaled about its centre."""
    rng = np.random.default_rng(5)
    frame = np.repeat(np.linspace(60, 120, 240).astype(np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    side = round(40 * scale)
    texture = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    index = (np.arange(side) * 8 // side).clip(0, 7)
    x, y = 120 + shift[0] - side // 2, 100 + shift[1] - side // 2
    frame[y : y + side, x : x + side] = texture[index][:, index]
    return frame


BOX = [100.0, 80.0, 40.0, 40.0]


@pytest.mark.parametrize("pyramid", [False, True])
@pytest.mark.parametrize("shift", [(8, 0), (-6, 9)])
def test_filter_follows_a_shift(shift: tuple[int, int], pyramid: bool) -> None:
    params = EDCFParams(use_semantic=False, feature_pyramid=pyramid, subcell=True)
    tracker = EDCFTracker(params, net=small_net(semantic=False))
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    x, y, w, h = tracker.track(moving_texture(shift))["target_bbox"]
    centre = np.array([x + w / 2, y + h / 2])
    np.testing.assert_allclose(centre, [120 + shift[0], 100 + shift[1]], atol=1.5)


@pytest.mark.parametrize("pyramid", [False, True])
def test_scale_search_follows_a_growing_target(pyramid: bool) -> None:
    params = EDCFParams(use_semantic=False, feature_pyramid=pyramid)
    tracker = EDCFTracker(params, net=small_net(semantic=False))
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    widths = [tracker.track(moving_texture(scale=1.0 + 0.03 * i))["target_bbox"][2] for i in range(1, 9)]
    assert widths[-1] > 44


def test_update_rate_and_interpolation_of_equations_17_and_18() -> None:
    """The golden's sequence: ratios f*(x_t) / f*(x_1) of 1, 0.8, 0.5, 1.1."""
    tracker = EDCFTracker(EDCFParams(), net=small_net())
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    state = tracker.state
    assert state is not None
    state.first_peak = 2.0
    rates = [tracker._rate(torch.full((1, 1, 3, 3), 2.0 * ratio)) for ratio in (1, 0.8, 0.5, 1.1)]
    np.testing.assert_allclose(rates, GOLDENS["update/alpha"], rtol=1e-6)
    old = state.target_filter.clone()
    template = torch.rand(1, 8, 125, 125, generator=torch.Generator().manual_seed(0))
    tracker._learn(template, 1.0)
    new = state.target_filter.clone()
    state.target_filter = old
    tracker._learn(template, rates[1])
    torch.testing.assert_close(state.target_filter, rates[1] * new + (1 - rates[1]) * old)


def test_interpolation_of_equation_17_over_the_goldens_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = EDCFTracker(EDCFParams(), net=small_net())
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    tracker.state.target_filter = torch.ones(1)
    values = iter((2.0, 3.0, 1.0, 5.0))
    monkeypatch.setattr("pytracking.tracker.edcf.tracker.solve_filter", lambda *_, **__: torch.tensor([next(values)]))
    history = []
    for rate in GOLDENS["update/alpha"]:
        tracker._learn(torch.zeros(1, 1, 125, 125), float(rate))
        history.append(tracker.state.target_filter.item())
    np.testing.assert_allclose(history, GOLDENS["update/w"], rtol=1e-6)


def test_update_ratio_is_kept_in_bounds() -> None:
    tracker = EDCFTracker(EDCFParams(), net=small_net())
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    tracker.state.first_peak = 1.0
    assert tracker._rate(torch.full((1, 1, 2, 2), -3.0)) == 0.0
    assert tracker._rate(torch.full((1, 1, 2, 2), 9.0)) == pytest.approx(0.017 * 1.5)
    tracker.state.first_peak = -1.0
    assert tracker._rate(torch.full((1, 1, 2, 2), 9.0)) == 0.017


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (paper, {}),
        (siamfc, {"fine": None}),
        (edsiam, {"fine": None}),
        (cfnet, {"fine": "conv2", "fine_channels": 32, "semantic": False}),
        (cacfnet, {"semantic": False}),
    ],
)
def test_every_variant_of_table_1_tracks(module: object, arguments: dict) -> None:
    tracker = EDCFTracker(module.parameters(), net=small_net(**arguments))
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    out = tracker.track(moving_texture((3, 2)))
    assert np.isfinite(out["target_bbox"]).all() and min(out["target_bbox"][2:]) > 0


def test_videos_do_not_disturb_each_other() -> None:
    net = small_net()
    tracker = EDCFTracker(EDCFParams(), net=net)
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    first = [tracker.track(moving_texture((i, i)))["target_bbox"] for i in (2, 4)]
    tracker.initialize(moving_texture((10, 0)), {"init_bbox": [50, 60, 30, 50]})
    tracker.track(moving_texture((10, 0)))
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    assert [tracker.track(moving_texture((i, i)))["target_bbox"] for i in (2, 4)] == first


def test_size_stays_within_its_bounds_and_centre_in_the_image() -> None:
    params = EDCFParams(use_semantic=False, scale_step=1.5, min_size_factor=0.8, max_size_factor=1.2)
    tracker = EDCFTracker(params, net=small_net(semantic=False))
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    noise = np.random.default_rng(0).integers(0, 256, (200, 240, 3), dtype=np.uint8)
    for _ in range(6):
        x, y, w, h = tracker.track(noise)["target_bbox"]
        assert 32 - 1e-6 <= w <= 48 + 1e-6 and 32 - 1e-6 <= h <= 48 + 1e-6
        assert 0 <= x + w / 2 <= 240 and 0 <= y + h / 2 <= 200


def test_debug_gives_maps_and_the_search_area() -> None:
    tracker = EDCFTracker(EDCFParams(debug=1), net=small_net())
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    out = tracker.track(moving_texture())
    assert out["search_area"] == [60.0, 40.0, 120.0, 120.0]
    assert out["debug"]["score_map"].shape == (3, 125, 125)


def test_weights_without_a_branch_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "filter_only.safetensors"
    arguments = {"width": 0.125, "semantic": False, "decoder": False}
    save_model(path, small_net(semantic=False), NetSpec("edcf", arguments), {})
    with pytest.raises(UserError, match=r"no semantic branch.*use_semantic=false"):
        EDCFTracker(EDCFParams(weights=str(path)))
    EDCFTracker(EDCFParams(weights=str(path), use_semantic=False))


def test_even_maps_have_no_pyramid() -> None:
    net = small_net(fine="conv2", fine_channels=4, semantic=False)
    with pytest.raises(UserError, match="feature_pyramid=false"):
        EDCFTracker(EDCFParams(use_semantic=False, feature_pyramid=True), net=net)


def test_forms_without_shipped_weights_say_how_to_train_them() -> None:
    with pytest.raises(UserError, match=r"ltr-train edcf siamfc.*--weights edcf"):
        EDCFTracker(siamfc.parameters())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_scales": 4}, "odd"),
        ({"use_filter": False, "use_semantic": False}, "use_filter"),
        ({"lambda1": -1}, "lambda1"),
        ({"image_size": 127}, "image_size"),
        ({"image_size": 256}, "multiple of 4"),
    ],
)
def test_parameters_out_of_range_are_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(EDCFParams(), **change)


def test_resampled_response_keeps_displacements_in_pixels() -> None:
    """Two cells of stride 8 are 16 pixels: eight cells of 2 pixels; stretching 17 over 125 would give fifteen."""
    score_map = torch.zeros(1, 1, 17, 17)
    score_map[0, 0, 8 + 2, 8 - 1] = 1
    _, dy, dx, score = find_peak(resample_response(score_map, 8, 2, 125), subcell=False)
    assert (dy, dx, score) == (8, -4, 1)


def test_resampled_response_repeats_the_minimum_outside() -> None:
    score_map = torch.full((1, 1, 17, 17), -3.0)
    score_map[0, 0, 8, 8] = 2
    resampled = resample_response(score_map, 8, 2, 125)
    assert resampled[0, 0, 0, 0] == -3 and resampled.min() == -3 and resampled[0, 0, 62, 62] == 2


def test_resampled_features_shift_and_scale_about_the_centre() -> None:
    cells = torch.arange(9.0)
    features = (cells[None, :] * 10 + cells[:, None]).expand(1, 1, 9, 9)
    same, larger = resample_features(features, torch.tensor([1.0, 1.5]), (1.0, -1.0), 5)
    torch.testing.assert_close(same[0], features[0, 0, 3:8, 1:6])
    torch.testing.assert_close(larger[0, 2, 2], features[0, 0, 5, 3])
    torch.testing.assert_close(larger[0, 2, 3] - larger[0, 2, 2], torch.tensor(15.0))


def test_peak_between_cells() -> None:
    offsets = torch.arange(11.0) - 5
    curve = -((offsets - 1.3) ** 2)
    score_maps = torch.stack([curve[:, None] + curve[None, :] - 1, curve[:, None] + curve[None, :]])[:, None]
    scale, dy, dx, _ = find_peak(score_maps, subcell=True)
    assert scale == 1 and dy == pytest.approx(1.3, abs=1e-4) and dx == pytest.approx(1.3, abs=1e-4)


@pytest.mark.parametrize("change", [{"feature_pyramid": True}, {"semantic_scales": "middle"}])
def test_one_map_for_all_scales_keeps_the_size(change: dict) -> None:
    tracker = EDCFTracker(EDCFParams(use_filter=False, **change), net=small_net(fine=None))
    tracker.initialize(moving_texture(), {"init_bbox": BOX})
    assert tracker.track(moving_texture((2, 1)))["target_bbox"][2:] == [40, 40]
