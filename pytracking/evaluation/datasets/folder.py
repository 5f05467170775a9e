"""Any folder of sequences: `<root>/<sequence>/(img/)*.jpg` with `groundtruth.txt`, or videos with text files.

Frames are taken in natural order (2.jpg before 10.jpg), and line k of the ground truth belongs to frame k.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ltr.admin.errors import UserError
from ltr.data.image_io import visible_children
from ltr.dataset.folder.layout import ANNOTATIONS, annotated_frames, annotation_file, frame_files
from ltr.dataset.readers import read_boxes
from pytracking.evaluation.datasets._faults import raise_faults
from pytracking.evaluation.sequence import Sequence, SequenceList, fit_ground_truth
from pytracking.evaluation.video_source import VIDEO_SUFFIXES, VideoSource

PATH_KEY = "folder"

logger = logging.getLogger(__name__)


def load(path: Path | None) -> SequenceList:
    """Load a folder of sequences, one sequence's own folder, or one video file.

    Args:
        path: The folder (or video).

    Returns:
        Sequences in natural order of their names. Folders with images but without ground truth are left
        out with a warning.

    Raises:
        UserError: No sequence found (the message says what was looked for), or faults in some of them
            (all are named).
    """
    if path is None:
        raise UserError("data set 'folder' needs the folder of the sequences: give --dataset_path DIR")
    path = path.resolve()  # "." has no name to give to a sequence
    if path.is_file():
        return SequenceList([_video_sequence(path)])
    sequences, faults = SequenceList(), []
    without_annotation = []
    for candidate in [path] if annotation_file(path) else visible_children(path):
        try:
            if annotation := annotation_file(candidate):
                sequences.append(_image_sequence(candidate, annotation))
            elif _is_annotated_video(candidate):
                sequences.append(_video_sequence(candidate))
            elif candidate.is_dir() and frame_files(candidate):
                without_annotation.append(candidate.name)
        except UserError as error:
            faults.append(str(error))
    if without_annotation:
        logger.warning("no ground truth, left out: %s", ", ".join(without_annotation))
    raise_faults(faults, path)
    if not sequences:
        raise UserError(_nothing_found(path))
    return sequences


def _nothing_found(root: Path) -> str:
    return (
        f"no sequences in {root}. Looked for <sequence>/img/*.jpg (or png; also without img/) with "
        f"{' or '.join(ANNOTATIONS)} in <sequence>, for the same in the folder itself, and for <name>.mp4 (or "
        "avi, mkv, ...) with <name>.txt. A ground truth has one line x,y,w,h per frame"
    )


def _image_sequence(folder: Path, annotation: Path) -> Sequence:
    frames = annotated_frames(folder, annotation)
    return Sequence(folder.name, frames, fit_ground_truth(read_boxes(annotation), len(frames), annotation), "folder")


def _is_annotated_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.with_suffix(".txt").is_file()


def _video_sequence(path: Path) -> Sequence:
    annotation = path.with_suffix(".txt")
    if path.suffix.lower() not in VIDEO_SUFFIXES or not annotation.is_file():
        raise UserError(
            f"{path} is neither a folder nor a video with its ground truth beside it ({annotation.name})"
        )
    boxes = read_boxes(annotation)
    source = VideoSource(path, expected_frames=len(boxes))
    return Sequence(path.stem, source, fit_ground_truth(boxes, len(source), annotation), "folder")
