"""EDCF online: fused localisation, scale search, long- and short-term update (Section 3.3)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ltr.admin.checkpoint import load_net
from ltr.admin.errors import UserError
from ltr.admin.runtime import autocast
from ltr.models.backbone.siamfc_alexnet import STRIDE
from ltr.models.correlation.correlation_filter import apply_filter, centre_map, solve_filter
from ltr.models.layers.fusion import fuse_conv_bn, in_channels_last
from ltr.models.tracking.edcf import EDCFNet, crop_centre
from ltr.ops.crop import crop_patch, to_tensor
from ltr.ops.labels import circular_gaussian_label
from ltr.ops.regions import region_size
from ltr.ops.windows import hann2d
from pytracking.api import FrameInfo, InitInfo, TrackerOutput
from pytracking.components.video_state import OneVideo
from pytracking.components.weights import resolve_weights
from pytracking.tracker.edcf.localize import find_peak, resample_features, resample_response
from pytracking.tracker.edcf.params import EDCFParams


@dataclass
class EDCFState:
    """All that belongs to one video."""

    centre: np.ndarray  # (2,) x, y in image pixels
    size: np.ndarray  # (2,) w, h in image pixels
    first_size: np.ndarray
    fill: np.ndarray  # (3,) mean colour of the first frame, shown outside the image
    frame_num: int = 0
    exemplar: Tensor | None = None  # (1, C, 6, 6), never updated
    first_peak: float = 0.0  # f*(x_1) of Eq. 18
    target_filter: Tensor | None = None  # (1, C, H, W // 2 + 1) complex
    contexts: Tensor | None = None  # (1, K, C, H, W // 2 + 1) complex, the last look at them


@dataclass
class Search:
    """What the net says of one frame's search region."""

    conv1: Tensor  # (1 or S, C, h, w)
    fine: Tensor | None = None  # (1 or S, C, n, n) filter features as encoded
    pyramid: Tensor | None = None  # (S, C, n, n) the same at every scale
    semantic: Tensor | None = None  # (1 or S, 1, 17, 17) score maps f


class EDCFTracker(OneVideo[EDCFState]):
    """Encoder-decoder correlation filter tracker.

    Args:
        params: see :class:`EDCFParams`.
        device: where the net runs.
        net: a net to use in place of the file that ``params.weights`` names.

    Raises:
        UserError: the weights are missing, broken or of another net, or lack a branch that the parameters use.
    """

    def __init__(self, params: EDCFParams, device: str | torch.device = "cpu", net: EDCFNet | None = None) -> None:
        self.params = params
        self.device = torch.device(device)
        if net is None:
            net = cast(EDCFNet, load_net(_weights_file(params.weights), builder="edcf", device=self.device))
        self.side = net.fine_size(params.image_size)
        params.check_net(
            has_filter=net.fine_kind is not None, has_semantic=net.has_semantic, filter_side=self.side
        )
        self.net = copy.deepcopy(net).to(self.device).eval()  # the caller's net keeps its batch normalisation
        fuse_conv_bn(self.net)
        in_channels_last(self.net)
        self.middle = params.num_scales // 2
        self.scales = params.scale_step ** (np.arange(params.num_scales) - self.middle)
        self.cell = net.fine_stride  # crop pixels per cell of the filter's map
        sigma = self.side / (1 + params.padding) * params.sigma_factor
        label = circular_gaussian_label((self.side, self.side), sigma).float().to(self.device)
        self.label = torch.fft.rfft2(label)
        self.window = hann2d((self.side, self.side)).float().to(self.device)
        penalty = torch.full((params.num_scales, 1, 1, 1), params.scale_penalty)
        penalty[self.middle] = 1
        self.penalty = penalty.to(self.device)
        # Context windows stand one target size above, left, below and right of the target's (CACF).
        self.context_shift = math.ceil(params.image_size / (1 + params.padding) / self.cell)
        self.wide_size = params.image_size + 2 * self.context_shift * self.cell

    @torch.no_grad()
    def initialize(self, image: np.ndarray, info: InitInfo) -> TrackerOutput:
        """Learn the exemplar and the first filter from ``info["init_bbox"]`` ``[x, y, w, h]``."""
        x, y, w, h = (float(v) for v in info["init_bbox"])
        size = np.array([w, h])
        self._state = EDCFState(np.array([x + w / 2, y + h / 2]), size, size, image.reshape(-1, 3).mean(axis=0))
        search = Search(self._encode(image, [1.0], self.params.image_size))
        if self.params.use_semantic:
            self.state.exemplar = self._run(self.net.exemplar_features, search.conv1)
            self.state.first_peak = float(self._semantic(search.conv1).max())
        if self.params.use_filter:
            self._update_filter(image, 1.0)
        return {"target_bbox": [x, y, w, h]}

    @torch.no_grad()
    def track(self, image: np.ndarray, info: FrameInfo | None = None) -> TrackerOutput:
        """Find the target in the next frame (Eq. 16), then adapt the filter (Eq. 17-18)."""
        state, params = self.state, self.params
        state.frame_num += 1
        search_area = self._search_area()
        search = self._search(image)
        score_map = self._fuse(self._filter_response(search), search)
        scale, dy, dx, score = find_peak(score_map, params.subcell)
        self._move(image.shape, scale, dy, dx)
        if params.use_filter:
            rate = self._rate(search.semantic)
            if search.fine is not None and params.feature_pyramid and state.frame_num % params.context_interval:
                self._update_filter_from(search.fine, self.scales[scale], dy, dx, rate)
            else:
                self._update_filter(image, rate)
        x, y = state.centre - state.size / 2
        out: TrackerOutput = {"target_bbox": [float(x), float(y), *map(float, state.size)], "score": score}
        if params.debug:
            out["search_area"] = search_area
            out["debug"] = {"score_map": score_map.cpu().numpy()[:, 0]}
        return out

    def _region(self) -> np.ndarray:
        """Width and height of the search region in image pixels."""
        return region_size(self.state.size, self.params.padding, self.params.region)

    def _search_area(self) -> list[float]:
        region = self._region()
        return [*map(float, self.state.centre - region / 2), *map(float, region)]

    def _encode(self, image: np.ndarray, scales: Sequence[float] | np.ndarray, size: int) -> Tensor:
        """First layer of crops of ``size`` pixels around the target, one for each scale."""
        state, params = self.state, self.params
        region = self._region() * size / params.image_size
        patches = [crop_patch(image, state.centre, region * s, size, state.fill) for s in scales]
        return self._run(self.net.encode, to_tensor(patches, self.device))

    def _run(self, function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        with autocast(self.device, self.params.precision):
            return function(inputs).float()

    def _search(self, image: np.ndarray) -> Search:
        params = self.params
        scales = [1.0] if params.feature_pyramid else self.scales
        search = Search(self._encode(image, scales, params.image_size))
        if params.use_filter:
            search.fine = search.pyramid = self._run(self.net.fine_features, search.conv1)
            if params.feature_pyramid:
                factors = torch.as_tensor(self.scales, dtype=torch.float32, device=self.device)
                search.pyramid = resample_features(search.fine, factors, (0.0, 0.0), self.side)
        if params.use_semantic:
            one = params.semantic_scales == "middle" and not params.feature_pyramid
            search.semantic = self._semantic(search.conv1[self.middle : self.middle + 1] if one else search.conv1)
        return search

    def _semantic(self, conv1: Tensor) -> Tensor:
        exemplar = cast(Tensor, self.state.exemplar)  # initialize() made it
        return self.net.semantic_response(exemplar, self._run(self.net.semantic_features, conv1))

    def _filter_response(self, search: Search) -> Tensor | None:
        """Response g of Eq. 9 at every scale, ``(S, 1, n, n)`` with zero displacement in the middle cell."""
        if search.pyramid is None or self.state.target_filter is None:
            return None
        return centre_map(apply_filter(search.pyramid * self.window, self.state.target_filter))

    def _fuse(self, response: Tensor | None, search: Search) -> Tensor:
        """Fused score maps of Eq. 16, laid out as the filter's response."""
        params = self.params
        fused = torch.zeros((), device=self.device) if response is None else response
        if search.semantic is not None:
            semantic = search.semantic.sigmoid() if params.semantic_score == "sigmoid" else search.semantic
            fused = fused + params.semantic_weight * resample_response(semantic, STRIDE, self.cell, self.side)
        lowest = fused.amin()
        if fused.shape[0] == 1:  # one map says nothing of scales: the size stays
            fused = torch.cat([fused if i == self.middle else lowest.expand_as(fused) for i in range(len(self.scales))])
        fused = lowest + (fused - lowest) * self.penalty  # scores may be negative, where a factor would favour
        if params.position_prior > 0:
            fused = (1 - params.position_prior) * fused + params.position_prior * self.window
        return fused

    def _rate(self, semantic: Tensor | None) -> float:
        """Learning rate of Eq. 18; the plain one without a semantic branch, or where its first peak is not positive."""
        params, first = self.params, self.state.first_peak
        if semantic is None or not params.adaptive_update or first <= 0:
            return params.learning_rate
        return params.learning_rate * min(max(float(semantic.max()) / first, 0.0), params.max_update_ratio)

    def _update_filter(self, image: np.ndarray, rate: float) -> None:
        """Look at the target again, and at its surroundings when their turn has come."""
        state, params, side = self.state, self.params, self.side
        look_around = params.lambda2 > 0 and state.frame_num % params.context_interval == 0
        size = self.wide_size if look_around else params.image_size
        features = self._run(self.net.fine_features, self._encode(image, [1.0], size))
        if look_around:
            shift = self.context_shift
            starts = [(0, shift), (shift, 0), (2 * shift, shift), (shift, 2 * shift)]
            windows = [features[:, :, r : r + side, c : c + side] for r, c in starts]
            state.contexts = torch.fft.rfft2(torch.stack(windows, dim=1) * self.window)
        self._learn(crop_centre(features, side), rate)

    def _update_filter_from(self, fine: Tensor, factor: float, dy: float, dx: float, rate: float) -> None:
        """Learn from the features that the search has already computed, moved to the target's new place."""
        factors = torch.tensor([factor], dtype=torch.float32, device=self.device)
        # The displacement was found in cells of the scaled map.
        self._learn(resample_features(fine, factors, (dy * factor, dx * factor), self.side), rate)

    def _learn(self, template: Tensor, rate: float) -> None:
        """Eq. 7, then Eq. 17 on the filter itself."""
        state, params = self.state, self.params
        new = solve_filter(
            template * self.window,
            self.label,
            state.contexts,
            lambda1=params.lambda1,
            lambda2=params.lambda2,
            form=params.filter_form,
        )
        state.target_filter = new if state.target_filter is None else rate * new + (1 - rate) * state.target_filter

    def _move(self, image_shape: tuple[int, ...], scale: int, dy: float, dx: float) -> None:
        state, params = self.state, self.params
        factor = self.scales[scale]
        per_pixel = self._region() * factor / params.image_size  # image pixels per crop pixel
        centre = state.centre + np.array([dx, dy]) * self.cell * per_pixel
        state.centre = np.clip(centre, 0, [image_shape[1], image_shape[0]])
        size = state.size * factor
        state.size = np.clip(size, params.min_size_factor * state.first_size, params.max_size_factor * state.first_size)


def _weights_file(name: str) -> Path:
    """The file of some weights; a form of the paper's Table 1 that is not shipped says how to get its own."""
    try:
        return resolve_weights(name)
    except UserError as error:
        if not name.startswith("edcf_"):
            raise
        setting = name.removeprefix("edcf_")
        raise UserError(
            f"{error}. This form of EDCF has no shipped weights: train them with 'ltr-train edcf {setting}', or try "
            "the form on EDCF's own with --weights edcf (not for cfnet, whose net differs)"
        ) from error
