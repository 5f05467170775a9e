"""The annotations of ImageNet VID as a table of tracklets, read once and kept in a file."""

from __future__ import annotations

import logging
import os
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write

logger = logging.getLogger(__name__)

_FORMAT = 1
_ARRAYS = ("videos", "names", "video_of", "first", "offset", "boxes", "occluded")
_DAMAGED_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Index:
    """All tracklets of a split: S tracklets of N frames in total.

    Attributes:
        videos: (V,) folders relative to the split, with forward slashes.
        names: (S,) `<video>/<track id>:<class>`.
        video_of: (S,) index into `videos`.
        first: (S,) number of the tracklet's first frame.
        offset: (S + 1,) where its boxes begin in `boxes`.
        boxes: (N, 4) float32 `[x, y, w, h]`.
        occluded: (N,) bool.
    """

    videos: np.ndarray
    names: np.ndarray
    video_of: np.ndarray
    first: np.ndarray
    offset: np.ndarray
    boxes: np.ndarray
    occluded: np.ndarray


def cache_files(root: Path, split: str, cache: str | PathLike[str] | None) -> list[Path]:
    """Where the index may be, in the order of preference."""
    if cache is not None:
        return [Path(cache) / f"imagenet_vid_{split}.npz"]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # Several copies of the data set may share the user's folder.
    own = zlib.crc32(str(root.resolve()).encode("utf-8"))
    return [root / f"pytracking_index_{split}.npz", home / "pytracking" / f"imagenet_vid_{split}_{own:08x}.npz"]


def cached_index(annotations: Path, files: list[Path]) -> Index:
    """The index from the first file that fits these annotations, or made anew and written to the first that can be.

    Annotations that cannot be read are left out: the tracklets end before them. Such an index is not kept, for nothing
    would tell that the files were restored.

    Raises:
        UserError: most annotations cannot be read.
    """
    videos = _video_folders(annotations)
    stamp = np.array([_FORMAT, _fingerprint(annotations, videos)], dtype=np.int64)
    for file in files:
        if file.is_file() and (index := _load(file, stamp)) is not None:
            return index
    index, damaged = _build(annotations, videos)
    for file in files if not damaged else []:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file, "wb") as stream:
                np.savez_compressed(stream, stamp=stamp, **{name: getattr(index, name) for name in _ARRAYS})
            return index
        except (OSError, UserError) as error:
            logger.info("the index of ImageNet VID was not kept: %s", error)
    logger.warning(
        "no index of ImageNet VID was kept (%s): annotations are read anew at every start",
        "until those above are restored" if damaged else f"tried {', '.join(map(str, files))}",
    )
    return index


def _video_folders(annotations: Path) -> list[str]:
    """Folders with annotations, relative; directly in the split (val) or one level down (train)."""
    found: list[str] = []
    for folder in sorted(path for path in annotations.iterdir() if path.is_dir()):
        inner = sorted(path.name for path in folder.iterdir() if path.is_dir()) if "VID" in folder.name else []
        found += [f"{folder.name}/{name}" for name in inner] or [folder.name]
    return found


def _fingerprint(annotations: Path, videos: list[str]) -> int:
    """Changes when a folder of a video comes, goes, or gets or loses a file."""
    times = [(annotations / video).stat().st_mtime_ns for video in videos]
    return zlib.crc32("\n".join(f"{video} {time}" for video, time in zip(videos, times, strict=True)).encode("utf-8"))


def _load(file: Path, stamp: np.ndarray) -> Index | None:
    try:
        with np.load(file, allow_pickle=False) as stored:
            if not np.array_equal(stored["stamp"], stamp):
                logger.info("%s is out of date: the annotations are read anew", file)
                return None
            return Index(**{name: stored[name] for name in _ARRAYS})
    except Exception as error:  # a damaged archive raises one of many types; the file is only a copy
        logger.warning("the index %s cannot be read (%s): the annotations are read anew", file, error)
        return None


def _build(annotations: Path, videos: list[str]) -> tuple[Index, int]:
    """Reads all annotations; also returns how many of them are damaged."""
    names: list[str] = []
    video_of, first, lengths, rows = [], [], [], []
    damaged: list[str] = []
    total = 0
    for number, video in enumerate(videos):
        if number % 200 == 0:
            logger.info("ImageNet VID: annotations of video %d of %d", number + 1, len(videos))
        annotated = sorted((annotations / video).glob("*.xml"))
        total += len(annotated)
        for track, (start, kind, boxes) in _tracklets(annotated, damaged).items():
            names.append(f"{video}/{track}:{kind}")
            video_of.append(number)
            first.append(start)
            lengths.append(len(boxes))
            rows += boxes
    if damaged:
        shown = "; ".join(damaged[:_DAMAGED_SHOWN]) + ("; ..." if len(damaged) > _DAMAGED_SHOWN else "")
        text = f"ImageNet VID: {len(damaged)} of {total} annotations cannot be read: {shown}"
        if len(damaged) > total / 2:
            raise UserError(f"{text}. Restore them")
        logger.warning("%s. They are left out, and so is what follows them in a tracklet", text)
    table = np.array(rows, dtype=np.float32).reshape(-1, 5)
    index = Index(
        videos=np.array(videos, dtype=np.str_),
        names=np.array(names, dtype=np.str_),
        video_of=np.array(video_of, dtype=np.int32),
        first=np.array(first, dtype=np.int32),
        offset=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        boxes=np.ascontiguousarray(table[:, :4]),
        occluded=table[:, 4] > 0,
    )
    return index, len(damaged)


def _tracklets(annotated: list[Path], damaged: list[str]) -> dict[str, tuple[int, str, list[list[float]]]]:
    """Objects of one video: track id -> first frame, class, rows `[x, y, w, h, occluded]` until its first gap.

    Files that cannot be read are a gap, and are added to `damaged`.
    """
    tracks: dict[str, tuple[int, str, list[list[float]]]] = {}
    for file in annotated:
        try:
            number = int(file.stem)
            objects = [_read_object(node) for node in ElementTree.parse(file).getroot().iter("object")]
        except (ElementTree.ParseError, ValueError, OSError) as error:
            damaged.append(f"{file} ({error})")
            continue
        for track, kind, row in objects:
            start, _, rows = tracks.setdefault(track, (number, kind, []))
            # After a gap the number is ahead of the count for good.
            if number == start + len(rows):
                rows.append(row)
    return tracks


def _read_object(node: ElementTree.Element) -> tuple[str, str, list[float]]:
    """Track id, class and `[x, y, w, h, occluded]` of an `object` element; w = xmax - xmin."""

    def text(name: str) -> str:
        value = node.findtext(name)
        if value is None:
            raise ValueError(f"an object without <{name}>")
        return value.strip()

    x0, y0, x1, y1 = (float(text(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    if not np.isfinite([x0, y0, x1, y1]).all():
        raise ValueError("a box that is not finite")
    return text("trackid"), text("name"), [x0, y0, x1 - x0, y1 - y0, float(int(node.findtext("occluded") or 0))]
