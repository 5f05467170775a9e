"""RFGM online (Zhou et al., NeurIPS 2023, Sections 3.1 and 4.1): read from the memory, decode a box, remember."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor

from ltr.admin.runtime import DTYPES
from ltr.models.head.center import CenterMaps
from ltr.models.tracking.rfgm import RFGMNet, prepare_for_tracking
from ltr.ops.crop import to_tensor
from ltr.ops.target_crop import padded_crop
from ltr.ops.windows import hann2d
from pytracking.api import FrameInfo, InitInfo, TrackerOutput
from pytracking.components.video_state import OneVideo
from pytracking.tracker.rfgm.boxes import box_in_image, clipped_box, scaled_size, size_factors, slowed_size
from pytracking.tracker.rfgm.memory import new_memory
from pytracking.tracker.rfgm.net import adjust_net, load_rfgm
from pytracking.tracker.rfgm.params import RFGMParams
from pytracking.tracker.rfgm.state import RFGMState


class RFGMTracker(OneVideo[RFGMState]):
    """Relevance attention over a global representation memory.

    Args:
        params: see :class:`RFGMParams`.
        device: where the net runs.
        net: a net to use in place of the file that ``params.weights`` names.

    Raises:
        UserError: the weights are missing, broken or of another net.
    """

    def __init__(self, params: RFGMParams, device: str | torch.device = "cpu", net: RFGMNet | None = None) -> None:
        self.params = params
        self.device = torch.device(device)
        net = load_rfgm(params) if net is None else copy.deepcopy(net)  # the caller's net stays as it is
        adjust_net(net, params)
        self.net = prepare_for_tracking(net.to(self.device), DTYPES[params.precision])
        cells = net.search_size // net.patch_size
        window = hann2d((cells + 2, cells + 2))[1:-1, 1:-1]  # without the zeros on the border
        window = 1 - params.window_influence * (1 - window)
        self.window = window.float().to(self.device)

    @torch.no_grad()
    def initialize(self, image: np.ndarray, info: InitInfo) -> TrackerOutput:
        """Remember the target of ``info["init_bbox"]`` ``[x, y, w, h]``."""
        box = [float(value) for value in info["init_bbox"]]
        memory = new_memory(self.params, self._template(image, box), self.net.filter_tokens)
        self._state = RFGMState(box, (image.shape[0], image.shape[1]), memory)
        if self.params.calibrate_size:
            self._state.size_factors = self._calibrated(image, box, memory.first)
        return {"target_bbox": list(box)}

    @torch.no_grad()
    def track(self, image: np.ndarray, info: FrameInfo | None = None) -> TrackerOutput:
        """Find the target in the next frame, and offer it to the memory when it is time to."""
        state, params, net = self.state, self.params, self.net
        state.frame_num += 1
        around = state.box_xywh
        crop, scale = padded_crop(image, np.array(around), params.search_area_scale, net.search_size)
        search = net.embed_search(self._images(crop))
        memory = state.memory.read(search)
        maps = net.head(net.encode(memory, search))
        box, score = self._decode(maps)
        side = net.search_size / scale
        if box is not None:
            found = scaled_size(box_in_image(box, around, side), state.size_factors)
            found = slowed_size(found, around, params.size_rate)
            state.box_xywh = clipped_box(found, state.image_size_hw, params.border_margin)
            if params.takes_template(state.frame_num, state.last_update):
                state.memory.add(self._template(image, state.box_xywh), score, search)
                state.last_update = state.frame_num
        out: TrackerOutput = {
            "target_bbox": list(state.box_xywh), "score": score, "object_presence_score": score
        }  # fmt: skip
        if params.debug:
            x, y, w, h = around
            out["search_area"] = [x + (w - side) / 2, y + (h - side) / 2, side, side]
            out["debug"] = {"score_map": maps.score[0, 0].float().cpu().numpy(), "memory_tokens": memory.shape[1]}
        return out

    def _template(self, image: np.ndarray, box_xywh: list[float]) -> Tensor:
        """Tokens ``(1, N, C)`` of the template around a box."""
        crop, _ = padded_crop(image, np.array(box_xywh), self.params.template_area_scale, self.net.template_size)
        return self.net.embed_template(self._images(crop))

    def _calibrated(self, image: np.ndarray, box_xywh: list[float], template: Tensor) -> tuple[float, float]:
        """What the head's sizes must be multiplied with to be right in the first frame."""
        crop, scale = padded_crop(image, np.array(box_xywh), self.params.search_area_scale, self.net.search_size)
        maps = self.net.head(self.net.encode(template, self.net.embed_search(self._images(crop))))
        box, _ = self._decode(maps)
        if box is None:
            return 1.0, 1.0
        return size_factors(box_in_image(box, box_xywh, self.net.search_size / scale), box_xywh)

    def _images(self, crop: np.ndarray) -> Tensor:
        return to_tensor([crop], self.device)

    def _decode(self, maps: CenterMaps) -> tuple[list[float] | None, float]:
        """The box ``[cx, cy, w, h]`` in fractions of the region and its score, in one copy to the host."""
        box_cxcywh, score = self.net.decode(maps, self.window)
        *box, value = torch.cat([box_cxcywh[0], score]).tolist()
        if not all(map(math.isfinite, (*box, value))):  # half precision can overflow
            return None, 0.0
        return box, min(max(value, 0.0), 1.0)
