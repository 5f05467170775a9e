"""DiMP online (Bhat et al., ICCV 2019, Section 3.7): localise, refine the box, learn from what was found."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor

from ltr.admin.runtime import DTYPES
from ltr.models.tracking.dimp import DiMPNet, prepare_for_tracking
from ltr.ops.sample_patch import NetInput, sample_patch
from ltr.ops.windows import hann2d
from pytracking.api import FrameInfo, InitInfo, TrackerOutput
from pytracking.components.first_crops import first_crops
from pytracking.components.init_augment import augmentations, drop_channels
from pytracking.components.iou_refine import BoxSearch, PredictWithGradient
from pytracking.components.localize import Found, Localization, LocalizeThresholds, localize_target
from pytracking.components.sample_memory import SampleMemory
from pytracking.components.target import Target, place_of_box
from pytracking.components.video_state import OneVideo
from pytracking.tracker.dimp.net import load_dimp
from pytracking.tracker.dimp.params import DiMPParams
from pytracking.tracker.dimp.state import DiMPState, Finding, View


class DiMPTracker(OneVideo[DiMPState]):
    """Discriminative model prediction.

    Args:
        params: see :class:`DiMPParams`.
        device: where the net runs.
        net: a net to use in place of the file that ``params.weights`` names.

    Raises:
        UserError: the weights are missing, broken or of another net.
    """

    def __init__(self, params: DiMPParams, device: str | torch.device = "cpu", net: DiMPNet | None = None) -> None:
        self.params = params
        self.device = torch.device(device)
        net = load_dimp(params.weights) if net is None else copy.deepcopy(net)  # the caller's net stays as it is
        boxes = 1 + params.num_init_random_boxes
        self.net = prepare_for_tracking(net.to(self.device), DTYPES[params.precision], boxes)
        self.net_input = NetInput(self.device)
        self.side = params.image_sample_size
        scores = self.side // self.net.feature_stride + (self.net.filter_size + 1) % 2
        self.window: Tensor | None = None
        if params.window_output:
            self.window = hann2d((scores + 2, scores + 2))[1:-1, 1:-1].float().to(self.device)
        self.thresholds = LocalizeThresholds(
            not_found=params.target_not_found_threshold,
            distractor=params.distractor_threshold,
            hard_negative=params.hard_negative_threshold,
            neighborhood_scale=params.target_neighborhood_scale,
            displacement_scale=params.displacement_scale,
            uncertain=_or_never(params.uncertain_threshold),
            hard_sample=_or_never(params.hard_sample_threshold),
        )
        self.box_search = BoxSearch(
            random_boxes=params.num_init_random_boxes,
            jitter_pos=params.box_jitter_pos,
            jitter_sz=params.box_jitter_sz,
            iterations=params.box_refinement_iter,
            step_length=params.box_refinement_step_length,
            step_decay=params.box_refinement_step_decay,
            space=params.box_refinement_space,
            max_aspect_ratio=params.maximal_aspect_ratio,
            best=params.iounet_k,
        )

    @torch.no_grad()
    def initialize(self, image: np.ndarray, info: InitInfo) -> TrackerOutput:
        """Predict the target's filter from ``info["init_bbox"]`` ``[x, y, w, h]``, seen in many ways."""
        params = self.params
        box = [float(value) for value in info["init_bbox"]]
        target = Target.from_box(box, params.search_area_scale, self.side)
        generator = torch.Generator().manual_seed(int(info.get("seed", 0)))
        crops, boxes = self._first_crops(image, target, generator)
        maps = self.net.backbone(self.net_input(crops))
        features = self.net.classification_features(maps["layer3"])
        first = {name: level[:1] for name, level in maps.items()}
        modulation = self.net.iou_modulation(first, _tensor(boxes[:1], self.device))
        copies, probability = params.augment_dropout
        if copies:
            features = torch.cat([features, drop_channels(features[:1], copies, probability, generator)])
            boxes = np.concatenate([boxes, np.repeat(boxes[:1], copies, axis=0)])
        self._state = DiMPState(
            target=target,
            base_area=box[2] * box[3] / target.scale**2,
            image_sz_hw=(image.shape[0], image.shape[1]),
            generator=generator,
            target_filter=self._predict_filter(features, boxes),
            modulation=modulation,
            memory=None,
        )
        if params.update == "memory":
            self._state.memory = SampleMemory(
                features, boxes, params.sample_memory_size, params.init_samples_minimum_weight
            )
        return {"target_bbox": box}

    @torch.no_grad()
    def track(self, image: np.ndarray, info: FrameInfo | None = None) -> TrackerOutput:
        """Find the target in the next frame, refine its box, and learn from the frame where it is fit for that."""
        state, target = self.state, self.state.target
        state.frame_num += 1
        view = self._look(image)
        scores = self.net.classify(state.target_filter, view.features[None])[0, 0]
        finding = self._read(scores, self._localize(scores, view), view)
        if finding.flag != Found.NOT_FOUND:
            self._move(finding, view)
            self._take_box(finding, view)
            if finding.flag != Found.UNCERTAIN:
                self._learn(finding, view)
            if target.refined_pos_yx is not None:
                # After a frame without a box worth taking this is the last frame's: so is the official code's.
                target.pos_yx = target.refined_pos_yx
        out: TrackerOutput = {
            "target_bbox": target.box_xywh,
            "score": finding.score,
            "object_presence_score": 0.0 if finding.flag == Found.NOT_FOUND else min(max(finding.score, 0.0), 1.0),
        }
        if self.params.debug:
            top, left, bottom, right = view.window.corners
            out["search_area"] = [left, top, right - left, bottom - top]
            out["debug"] = {"score_map": scores.cpu().numpy(), "finding": finding}
        return out

    def _first_crops(
        self, image: np.ndarray, target: Target, generator: torch.Generator
    ) -> tuple[Tensor, np.ndarray]:
        """The augmented crops ``(N, 3, side, side)`` of the first frame and the target's boxes in them ``(N, 4)``."""
        params = self.params
        changes = augmentations(
            self.side,
            relative_shifts=params.augment_relativeshift,
            fliplr=params.augment_fliplr,
            blurs=params.augment_blur,
            scales=params.augment_scale,
            rotations=params.augment_rotate,
            random_shift=params.random_shift_factor,
            generator=generator,
        )
        return first_crops(
            image,
            target,
            changes,
            self.side,
            expansion=params.augmentation_expansion_factor,
            arithmetic=params.crop_arithmetic,
            device=self.device,
        )

    def _look(self, image: np.ndarray) -> View:
        """The net's view of the search region around the target's last place."""
        params, target = self.params, self.state.target
        extent = target.scale * self.side
        patch, window = sample_patch(
            image,
            target.pos_yx,
            (extent, extent),
            (self.side, self.side),
            mode=params.border_mode,
            max_scale_change=params.patch_max_scale_change,
            arithmetic=params.crop_arithmetic,
            device=self.device,
        )
        maps = self.net.backbone(self.net_input(patch))
        features = self.net.classification_features(maps["layer3"])
        return View(window, window.scale((self.side, self.side)), maps, features)

    def _localize(self, scores: Tensor, view: View) -> Localization:
        target = self.state.target
        return localize_target(
            scores,
            cell=self.net.feature_stride,
            last_pos_yx=target.offset_from(view.window.pos_yx),
            target_sz_hw=target.sz_hw,
            sample_scale=view.scale,
            thresholds=self.thresholds,
            window=self.window,
            window_distractors=False,
        )

    def _read(self, scores: Tensor, location: Localization, view: View) -> Finding:
        """All that the host needs to know of a frame, in one copy."""
        # Drawn in every frame, so that a seed means the same on every device.
        uniforms = self.box_search.draw(self.state.generator)
        parts = [scores.amax().view(1), location.flag.view(1), location.translation_yx]
        # The CPU's flag is there for the asking; to ask another device would be to wait for it twice.
        if self.device.type != "cpu" or int(location.flag) != Found.NOT_FOUND:
            parts.append(self._climb(self._box_at(location, view), uniforms, view).flatten())
        score, flag, dy, dx, *rest = torch.cat(parts).tolist()
        rows = np.reshape(rest, (-1, 9))
        return Finding(Found(int(flag)), score, (dy, dx), rows[:, :4], rows[:, 4:8], rows[:, 8])

    def _climb(self, box: Tensor, uniforms: Tensor, view: View) -> Tensor:
        """Boxes like one, refined; rows ``(N, 9)`` of the box before, the box after, and the predicted overlap."""
        return self.box_search.climb(self._overlap_predictor(view), box, uniforms)

    def _overlap_predictor(self, view: View) -> PredictWithGradient:
        """The box branch for one crop and this target."""
        return self.net.box_rater(self.state.modulation, view.maps)

    def _box_at(self, location: Localization, view: View) -> Tensor:
        """The target's box ``(4,)`` in crop pixels at the place found, kept as far in the image as it must be."""
        target = self.state.target
        bounds = target.bounds_yx(self.params.target_inside_ratio, self.state.image_sz_hw)
        y, x = (
            move.clamp(low - middle, high - middle)
            for move, (low, high), middle in zip(location.translation_yx, bounds, view.window.pos_yx, strict=True)
        )
        x, y, w, h = target.box_in_crop((y, x), view.scale, self.side)
        return torch.stack([x, y, x.new_full((), w), x.new_full((), h)])

    def _move(self, finding: Finding, view: View) -> None:
        """Put the target where the classifier found it."""
        target = self.state.target
        bounds = target.bounds_yx(self.params.target_inside_ratio, self.state.image_sz_hw)
        y, x = (
            min(max(middle + move, low), high)
            for move, (low, high), middle in zip(finding.translation_yx, bounds, view.window.pos_yx, strict=True)
        )
        target.pos_yx = (y, x)

    def _take_box(self, finding: Finding, view: View) -> None:
        """Give the target the mean of the best refined boxes, if there is one worth taking."""
        params, target = self.params, self.state.target
        box = self.box_search.choose(finding.boxes_xywh, finding.overlaps)
        place = None if box is None else place_of_box(box, view.window.pos_yx, view.scale, self.side)
        if place is None:
            return
        target.refined_pos_yx, target.sz_hw = place
        if params.use_iounet_pos_for_learning:
            target.pos_yx = target.refined_pos_yx
        if params.update_scale_when_uncertain or finding.flag != Found.UNCERTAIN:
            target.scale = math.sqrt(target.sz_hw[0] * target.sz_hw[1] / self.state.base_area)

    def _learn(self, finding: Finding, view: View) -> None:
        """Store the frame's sample, and train the filter when it is time to."""
        state, params = self.state, self.params
        offset = state.target.offset_from(view.window.pos_yx)
        box = np.array(state.target.box_in_crop(offset, view.scale, self.side))
        if params.update == "averaging":
            new = self._predict_filter(view.features, box[None])
            state.target_filter = torch.lerp(state.target_filter, new, params.averaging_rate)
        if state.memory is None:
            return
        is_hard = finding.flag == Found.HARD_NEGATIVE
        if is_hard or state.frame_num % params.train_sample_interval == 0:
            rate = params.hard_negative_learning_rate if is_hard else params.learning_rate
            state.memory.write(view.features, box, rate)
        if num_iter := self._recursions(is_hard, finding.score):
            memory = state.memory
            state.target_filter = self.net.optimize_filter(
                state.target_filter,
                memory.samples[:, None],
                memory.boxes_xywh[:, None],
                num_iter,
                sample_weight=memory.sample_weights,
            ).filter

    def _recursions(self, is_hard: bool, score: float) -> int:
        """How many optimizer recursions a frame is worth."""
        params = self.params
        if is_hard:
            return params.net_opt_hn_iter
        if params.low_score_opt_threshold is not None and score < params.low_score_opt_threshold:
            return params.net_opt_low_iter
        return 0 if (self.state.frame_num - 1) % params.train_skipping else params.net_opt_update_iter

    def _predict_filter(self, features: Tensor, boxes: np.ndarray) -> Tensor:
        """The filter of some samples ``(N, C, h, w)`` and their boxes ``(N, 4)`` alone (Algorithm 1)."""
        samples, boxes_xywh = features[:, None], _tensor(boxes, self.device)[:, None]
        start = self.net.initial_filter(samples, boxes_xywh)
        return self.net.optimize_filter(start, samples, boxes_xywh, self.params.net_opt_iter).filter


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device, non_blocking=True)


def _or_never(threshold: float | None) -> float:
    return -math.inf if threshold is None else threshold
