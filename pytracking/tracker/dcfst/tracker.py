"""DCFST online (Zheng et al., ECCV 2020, Section 4): localise, refine the box, learn from the frame."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor

from ltr.admin.errors import UserError
from ltr.admin.runtime import DTYPES
from ltr.models.tracking.dcfst import DCFSTNet, prepare_for_tracking
from ltr.ops.sample_patch import NetInput, sample_patch
from pytracking.api import FrameInfo, InitInfo, TrackerOutput
from pytracking.components.first_crops import first_crops
from pytracking.components.init_augment import augmentations
from pytracking.components.iou_refine import BoxSearch
from pytracking.components.target import Target, place_of_box
from pytracking.components.video_state import OneVideo
from pytracking.tracker.dcfst.grid import Grid
from pytracking.tracker.dcfst.model import Learning, TargetModel
from pytracking.tracker.dcfst.net import load_dcfst
from pytracking.tracker.dcfst.output import bounded_size, output_box
from pytracking.tracker.dcfst.params import DCFSTParams
from pytracking.tracker.dcfst.state import DCFSTState, Finding, Lesson, View


class DCFSTTracker(OneVideo[DCFSTState]):
    """Ridge regression on learned features of many boxes.

    Args:
        params: see :class:`DCFSTParams`.
        device: where the net runs.
        net: a net to use in place of the file that ``params.weights`` names.

    Raises:
        UserError: the weights are missing, broken or of another net.
    """

    def __init__(self, params: DCFSTParams, device: str | torch.device = "cpu", net: DCFSTNet | None = None) -> None:
        self.params = params
        self.device = torch.device(device)
        net = load_dcfst(params.weights) if net is None else copy.deepcopy(net)  # the caller's net stays as it is
        boxes = 1 + params.num_init_random_boxes
        self.net = prepare_for_tracking(net.to(self.device), DTYPES[params.precision], boxes)
        self.net_input = NetInput(self.device)
        self.side = params.image_sample_size
        self.grid = Grid(self.side, net.search_area_scale, net.grid_size, self.device)
        self.labels = self.grid.gaussian(params.label_sigma)
        self.away = self.grid.away(params.hard_negative_distance * self.grid.unit)
        self.window: Tensor | None = None
        if params.window_sigma_factor is not None:
            self.window = self.grid.gaussian(params.window_sigma_factor).clamp(min=params.window_min)
        self.box_search = BoxSearch(
            random_boxes=params.num_init_random_boxes,
            jitter_pos=params.box_jitter_pos,
            jitter_sz=params.box_jitter_sz,
            iterations=params.box_refinement_iter,
            step_length=params.box_refinement_step_length,
            step_decay=params.box_refinement_step_decay,
            gradient_decimals=params.gradient_decimals,
            max_aspect_ratio=params.maximal_aspect_ratio,
            best=params.iounet_k,
        )

    @torch.no_grad()
    def initialize(self, image: np.ndarray, info: InitInfo) -> TrackerOutput:
        """Learn a model from ``info["init_bbox"]`` ``[x, y, w, h]``, seen in many ways.

        Raises:
            UserError: the net's features are not finite.
        """
        params = self.params
        box = [float(value) for value in info["init_bbox"]]
        target = Target.from_box(box, self.net.search_area_scale, self.side)
        changes = augmentations(
            self.side, fliplr=params.augment_fliplr, blurs=params.augment_blur, rotations=params.augment_rotate
        )
        crops, boxes = first_crops(
            image,
            target,
            changes,
            self.side,
            expansion=params.augmentation_expansion_factor,
            arithmetic=params.crop_arithmetic,
            device=self.device,
        )
        maps = self.net.backbone(self.net_input(crops))
        # The pooled proposals of all crops together would take half a gigabyte.
        each = [{name: level[i : i + 1] for name, level in maps.items()} for i in range(len(crops))]
        size = self._size_in_crop(target, target.scale)
        samples = (self.net.roi_features(one, size, float(self.side))[0] for one in each)
        learning = Learning(
            params.update,
            params.solver,
            params.gauss_seidel_sweeps,
            self.net.regularization if params.regularization is None else params.regularization,
            params.init_samples_minimum_weight,
        )
        model = TargetModel(samples, self.labels, learning)
        if not model.weights.isfinite().all():
            raise UserError(
                f"the features of the first frame overflow in {params.precision}: use precision fp32 or bf16, "
                f"or other weights than {params.weights}"
            )
        first_box = torch.from_numpy(boxes[:1].astype(np.float32)).to(self.device)
        self._state = DCFSTState(
            target=target,
            first_sz_hw=target.sz_hw,
            image_sz_hw=(image.shape[0], image.shape[1]),
            generator=torch.Generator().manual_seed(int(info.get("seed", 0))),
            model=model,
            modulation=self.net.iou_modulation(each[0], first_box),
        )
        return {"target_bbox": box}

    @torch.no_grad()
    def track(self, image: np.ndarray, info: FrameInfo | None = None) -> TrackerOutput:
        """Find the target in the next frame, refine its box, and learn from the frame."""
        params, state = self.params, self.state
        state.frame_num += 1
        view = self._look(image)
        scores = state.model.score(view.features)
        finding = self._read(scores, view)
        is_number = math.isfinite(finding.score)  # half precision can overflow
        found = is_number and finding.score >= params.target_not_found_threshold
        is_hard = False
        if found:
            self._take_box(finding, view)
            is_hard = self._learn(self._lesson(image, view))
        is_time = state.frame_num % params.train_skipping == 0 and (found or params.retrain_when_lost)
        if is_hard or is_time:
            state.model.train()
        out: TrackerOutput = {
            "target_bbox": output_box(state.target, state.image_sz_hw, params.output_box, params.integer_boxes),
            "score": finding.score if is_number else 0.0,
            "object_presence_score": min(max(finding.score, 0.0), 1.0) if found else 0.0,
        }
        if params.debug:
            top, left, bottom, right = view.corners
            out["search_area"] = [left, top, right - left, bottom - top]
            side = self.grid.count
            out["debug"] = {"score_map": scores.reshape(side, side).cpu().numpy(), "finding": finding}
        return out

    def _look(self, image: np.ndarray) -> View:
        """The net's view of the region around the target's last known place."""
        target = self.state.target
        extent = target.scale * self.side
        patch, window = sample_patch(
            image,
            target.pos_yx,
            (extent, extent),
            (self.side, self.side),
            arithmetic=self.params.crop_arithmetic,
            device=self.device,
        )
        maps = self.net.backbone(self.net_input(patch))
        features = self.net.roi_features(maps, self._size_in_crop(target, target.scale), float(self.side))[0]
        # The pixels read are whole ones; places are computed with the fractions, as in the official code.
        return View(target.pos_yx, target.scale, window.corners, maps, features)

    def _size_in_crop(self, target: Target, scale: float) -> Tensor:
        """Width and height ``(1, 2)`` of the proposals in crop pixels."""
        h, w = target.sz_hw
        return torch.tensor([[w / scale, h / scale]], device=self.device)

    def _read(self, scores: Tensor, view: View) -> Finding:
        """All that the host needs to know of a frame's scores ``(N,)`` and boxes, in one copy."""
        # Drawn in every frame, so that a seed means the same on every device.
        uniforms = self.box_search.draw(self.state.generator)
        best, index = (scores if self.window is None else scores * self.window).max(0)
        dx, dy = ((place - self.grid.middle) * view.scale for place in self.grid.centre(index))
        parts = [torch.stack([best, dy, dx])]
        # The CPU's score is there for the asking; to ask another device would be to wait for it once more.
        if self.device.type != "cpu" or float(best) >= self.params.target_not_found_threshold:
            x, y, w, h = self.state.target.box_in_crop((dy, dx), view.scale, self.side)
            box = torch.stack([x, y, x.new_full((), w), x.new_full((), h)])
            parts.append(self._climb(box, uniforms, view).flatten())
        score, down, right, *rest = torch.cat(parts).tolist()
        rows = np.reshape(rest, (-1, 9))
        return Finding(score, (down, right), rows[:, :4], rows[:, 4:8], rows[:, 8])

    def _climb(self, box: Tensor, uniforms: Tensor, view: View) -> Tensor:
        """Boxes like one, refined; rows ``(K, 9)`` of the box before, the box after, and the predicted overlap."""
        return self.box_search.climb(self.net.box_rater(self.state.modulation, view.maps), box, uniforms)

    def _take_box(self, finding: Finding, view: View) -> None:
        """Give the target the place of the best proposal, and the mean of the best refined boxes, if there is one."""
        params, state, target = self.params, self.state, self.state.target
        target.pos_yx = (view.pos_yx[0] + finding.translation_yx[0], view.pos_yx[1] + finding.translation_yx[1])
        box = self.box_search.choose(finding.boxes_xywh, finding.overlaps)
        place = None if box is None else place_of_box(box, view.pos_yx, view.scale, self.side)
        if place is None:
            return
        target.pos_yx, refined = place
        old, damp = target.sz_hw, params.scale_damp
        size = (damp * old[0] + (1 - damp) * refined[0], damp * old[1] + (1 - damp) * refined[1])
        target.sz_hw = bounded_size(size, state.first_sz_hw, state.image_sz_hw, params.minimum_side)
        target.scale = math.sqrt(target.sz_hw[0] * target.sz_hw[1]) * self.net.search_area_scale / self.side

    def _lesson(self, image: np.ndarray, view: View) -> Lesson:
        """The target and its surroundings at its new place."""
        params, grid, target = self.params, self.grid, self.state.target
        if params.reuse_search_features:
            dy, dx = (moved / view.scale for moved in target.offset_from(view.pos_yx))
            if max(abs(dy), abs(dx)) <= params.reuse_max_offset * grid.unit:
                place, unit = (grid.middle + dx, grid.middle + dy), grid.unit * target.scale / view.scale
                away = grid.away(params.hard_negative_distance * unit, place)
                return Lesson(view.features, grid.gaussian(params.label_sigma, place, unit), away)
        return Lesson(self._look(image).features, self.labels, self.away)

    def _learn(self, lesson: Lesson) -> bool:
        """Give the frame its share; returns whether the model saw something like the target beside it."""
        params, model = self.params, self.state.model
        scores = model.score(lesson.features)
        highest, elsewhere = torch.stack([scores.amax(), scores.masked_fill(~lesson.away, -math.inf).amax()]).tolist()
        if not math.isfinite(highest):
            return False  # what overflowed in half precision would stay in the model for ever
        if params.hard_negatives == "absolute":
            is_hard = elsewhere > params.hard_negative_threshold
        else:
            share = params.hard_negative_threshold * highest
            is_hard = params.hard_negatives == "relative" and elsewhere > max(share, params.target_not_found_threshold)
        rate = params.hard_negative_learning_rate if is_hard else params.learning_rate
        model.learn(lesson.features, lesson.labels, rate)
        return is_hard
