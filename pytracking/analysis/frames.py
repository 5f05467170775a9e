"""Per-frame overlaps and errors of one sequence under an evaluation rule.

Boxes are continuous `[x, y, w, h]` in pixels. The `+1` of the older toolkits cancels in overlaps and centre
distances, so there is no inclusive-pixel variant here. Formulas: OTB (Wu et al., PAMI 2015, sec. 4),
normalised precision: TrackingNet (Müller et al., ECCV 2018, sec. 5); the treatment of special frames:
`rules.EvaluationRule`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytracking.analysis.rules import MISS, OVERLAP_MISS, EvaluationRule


@dataclass(frozen=True)
class FrameErrors:
    """What the curves of one sequence are counted from; excluded frames are gone.

    Attributes:
        overlap: (n,) float64 intersection over union in [0, 1]; -1 where the frame can only be a miss.
        center: (n,) float64 centre distance in pixels; -1 for a forced hit, inf for a forced miss.
        norm: (n,) float64 centre distance in target sizes; -1 and inf as above.
        valid: (n,) bool, frames whose overlap means something (neither invalid nor absent).
        starts_at_init: Whether entry 0 is the frame the tracker was initialised on.
    """

    overlap: np.ndarray
    center: np.ndarray
    norm: np.ndarray
    valid: np.ndarray
    starts_at_init: bool


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes pair by pair.

    Args:
        boxes: (n, 4) xywh.
        others: (n, 4) xywh.

    Returns:
        (n,) float64 in [0, 1]; NaN where a box has NaN or both areas are 0.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _overlaps(_columns(boxes), _columns(others))


def center_errors(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n,) Euclidean distances in pixels between the centres of (n, 4) xywh boxes, pair by pair."""
    return _length(_center(_columns(boxes)) - _center(_columns(others)))


def _length(delta: np.ndarray) -> np.ndarray:
    return np.sqrt(delta[0] * delta[0] + delta[1] * delta[1])


def _columns(boxes: np.ndarray) -> np.ndarray:
    """(n, 4) of any number type -> (4, n) float64, contiguous by column, always a copy."""
    return np.array(np.asarray(boxes).T, dtype=np.float64, order="C")


def _select(box: np.ndarray, keep: np.ndarray) -> np.ndarray:
    return np.stack([row[keep] for row in box])  # four times as fast as box[:, keep]


def _center(box: np.ndarray) -> np.ndarray:
    return box[:2] + 0.5 * (box[2:] - 1.0)


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    np.maximum(size, 0.0, out=size)
    inter = size[0] * size[1]
    union = a[2] * a[3] + b[2] * b[3] - inter
    # Rounding can lift two equal boxes an ulp above 1, where "> 1" would count them.
    return np.minimum(inter / union, 1.0)


def _norm_errors(
    pred_center: np.ndarray, gt_center: np.ndarray, size: np.ndarray, rule: EvaluationRule
) -> np.ndarray:
    if rule.norm_error == "pysot":
        size = size + 1e-16
    elif rule.norm_error == "difference_floor":
        size = np.maximum(size, 1.0)
    # The order of division and subtraction decides frames that lie exactly on a threshold.
    if rule.norm_error in ("centers", "pysot"):
        return _length(pred_center / size - gt_center / size)
    return _length((pred_center - gt_center) / size)


def annotated_length(ground_truth: np.ndarray, rule: EvaluationRule) -> int:
    """Rows a result must have for an (n, 4) annotation: n, or fewer where excluded rows of NaN end it."""
    if rule.nan_annotation != "exclude":
        return len(ground_truth)
    annotated = np.flatnonzero(~np.isnan(ground_truth).any(axis=1))
    return int(annotated[-1]) + 1 if annotated.size else 0


def _match_lengths(gt: np.ndarray, pred: np.ndarray, rule: EvaluationRule) -> tuple[np.ndarray, np.ndarray]:
    """(4, n) annotation and (4, m) prediction -> both of one length."""
    n, m = gt.shape[1], pred.shape[1]
    if m < n:
        n = annotated_length(gt.T, rule)
        gt = gt[:, :n]
    if m >= n:
        return gt, pred[:, :n]
    if rule.length_mismatch == "cut":
        return gt[:, :m], pred
    if rule.length_mismatch == "error":
        raise ValueError(
            f"{m} predicted boxes for {n} annotated frames, and the rule '{rule.name}' takes no shorter "
            "result"
        )
    fill = 0.0 if rule.length_mismatch == "pad" else np.nan
    return gt, np.concatenate([pred, np.full((4, n - m), fill)], axis=1)


def _repair(pred: np.ndarray, gt: np.ndarray, rule: EvaluationRule) -> np.ndarray:
    """Replace degenerate predictions by the one before them (frame 0 is left as it is)."""
    if rule.repair == "none":
        return pred
    if rule.repair == "zero":
        smallest = pred[2:].min(axis=0, initial=np.inf)
        if not (smallest.min(initial=np.inf) >= 0.0 and np.isfinite(pred.sum())):
            wrong = ~(smallest >= 0.0) | ~np.isfinite(pred).all(axis=0)
            frame = int(np.argmax(wrong))
            raise ValueError(
                f"predicted box {pred[:, frame].tolist()} of frame {frame} (line {frame + 1}) is not a "
                "box: sizes must not be negative, nothing may be NaN"
            )
        bad = smallest == 0.0
        if not bad.any():
            return pred
        n = min(bad.size, gt.shape[1])
        bad[:n] &= ~np.isnan(gt[:, :n]).any(axis=0)
    else:
        bad = ~(pred[2:] > 0.0).all(axis=0) | np.isnan(pred[:2]).any(axis=0)
        if not bad.any():
            return pred
    bad[0] = False
    source = np.maximum.accumulate(np.where(bad, 0, np.arange(bad.size)))
    return pred[:, source]


def _clip_to_image(box: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """GOT-10k's clipping: the corner, then what is left for the size (a box cut at the left is shifted, not
    cropped)."""
    limit = np.array(image_size, dtype=np.float64)[:, None]
    corner = np.minimum(np.maximum(box[:2], 0.0), limit)
    return np.concatenate([corner, np.minimum(np.maximum(box[2:], 0.0), limit - corner)])


def _validity(gt: np.ndarray, rule: EvaluationRule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) bool: frames with a valid annotation, for overlaps, centre errors and normalised errors."""
    if rule.valid_annotation != "pysot":
        limit = 0.0 if rule.valid_annotation == "positive_xywh" else -np.inf  # NaN lies above neither
        valid = np.asarray(gt.min(axis=0) > limit)
        return valid, valid, valid
    center = _center(gt)
    ratio = center / (gt[2:] + 1e-16)
    return (gt[2] > 0) & (gt[3] > 0), (center[0] > 0) & (center[1] > 0), (ratio[0] > 0) & (ratio[1] > 0)


def frame_errors(
    ground_truth: np.ndarray,
    prediction: np.ndarray,
    rule: EvaluationRule,
    *,
    visible: np.ndarray | None = None,
    image_size: tuple[int, int] | None = None,
) -> FrameErrors:
    """Score every frame of one sequence.

    Args:
        ground_truth: (n, 4) xywh pixels; rows of NaN where there is no annotation.
        prediction: (m, 4) xywh pixels, row 0 belongs to the frame the tracker was initialised on.
        rule: What happens with special frames.
        visible: (n,) bool, whether the target is visible (GOT-10k: cover > 0); used where the rule looks at
            it.
        image_size: (width, height) in pixels, for rules that clip boxes to the image.

    Raises:
        ValueError: Shapes that are not boxes, a length or a box the rule rejects, or no image size where one
            is needed. The inputs are never modified.
    """
    for name, array in (("ground truth", ground_truth), ("prediction", prediction)):
        if np.ndim(array) != 2 or np.shape(array)[1] != 4:
            raise ValueError(f"{name} must have shape (frames, 4), it has {np.shape(array)}")
    gt, pred = _columns(ground_truth), _columns(prediction)
    if visible is not None and len(visible) != gt.shape[1]:
        raise ValueError(f"{len(visible)} visibility flags for {gt.shape[1]} annotated frames")
    gt, pred = _match_lengths(gt, _repair(pred, gt, rule), rule)
    if rule.round_boxes:
        gt, pred = np.round(gt), np.round(pred)
    if rule.first_frame == "ground_truth" and gt.shape[1]:
        pred[:, :1] = gt[:, :1]
    flags = (
        None if visible is None or rule.absent == "ignore" else np.asarray(visible, dtype=bool)[: gt.shape[1]]
    )

    keep = np.ones(gt.shape[1], dtype=bool)
    keep[:1] = rule.first_frame != "dropped"
    if rule.nan_annotation == "exclude":
        keep &= ~np.isnan(gt).any(axis=0)
    if rule.absent == "exclude" and flags is not None:
        keep &= flags
    starts_at_init = bool(keep[:1].any())
    if not keep.all():
        gt, pred = _select(gt, keep), _select(pred, keep)
        flags = None if flags is None else flags[keep]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # what is not a number becomes a miss
        return _score(gt, pred, flags, rule, image_size, starts_at_init)


def _score(
    gt: np.ndarray,
    pred: np.ndarray,
    flags: np.ndarray | None,
    rule: EvaluationRule,
    image_size: tuple[int, int] | None,
    starts_at_init: bool,
) -> FrameErrors:
    if rule.clip_to_image:
        if image_size is None:
            raise ValueError(
                f"the rule '{rule.name}' clips boxes to the image and needs image_size=(width, height)"
            )
        overlap = _overlaps(_clip_to_image(pred, image_size), _clip_to_image(gt, image_size))
    else:
        overlap = _overlaps(pred, gt)
    pred_center, gt_center = _center(pred), _center(gt)
    center = _length(pred_center - gt_center)
    norm = _norm_errors(pred_center, gt_center, gt[2:], rule)
    valid, valid_center, valid_norm = _validity(gt, rule)
    center[~valid_center] = rule.invalid_center
    norm[~valid_norm] = rule.invalid_norm
    if flags is not None and rule.absent == "miss":
        center[~flags] = MISS
        norm[~flags] = MISS
        valid = valid & flags
    overlap[~valid | np.isnan(overlap)] = OVERLAP_MISS
    center[np.isnan(center)] = MISS
    norm[np.isnan(norm)] = MISS
    return FrameErrors(overlap, center, norm, valid, starts_at_init)
