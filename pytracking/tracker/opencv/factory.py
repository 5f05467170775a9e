"""Making the `cv2.Tracker...` object that the parameters describe, or saying what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from ltr.admin.errors import UserError
from pytracking.components.weights import resolve_weights
from pytracking.tracker.opencv.params import OpenCVParams

_CONTRIB = {"KCF", "CSRT"}
_SINCE = {"Nano": "4.7", "Vit": "4.9", "DaSiamRPN": "4.5.1", "MIL": "4.5.1"}

# Algorithm -> attribute of its cv2 parameters -> (our field, the usual names of the file).
_FILES: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "Nano": {
        "backbone": ("weights", ("nanotrack_backbone_sim.onnx", "nanotrack_backbone_sim_v2.onnx")),
        "neckhead": ("neckhead", ("nanotrack_head_sim.onnx", "nanotrack_head_sim_v2.onnx")),
    },
    "Vit": {"net": ("weights", ("object_tracking_vittrack_2023sep.onnx", "vitTracker.onnx"))},
    "DaSiamRPN": {
        "model": ("weights", ("dasiamrpn_model.onnx",)),
        "kernel_cls1": ("kernel_cls1", ("dasiamrpn_kernel_cls1.onnx",)),
        "kernel_r1": ("kernel_r1", ("dasiamrpn_kernel_r1.onnx",)),
    },
}


def make_tracker(params: OpenCVParams) -> Any:
    """A new tracker of OpenCV, its nets loaded.

    Raises:
        UserError: the installed OpenCV does not have it (names the package that does), or a file is missing
            or unreadable (names it).
    """
    check_available(params.algorithm)
    settings = getattr(cv2, f"Tracker{params.algorithm}_Params")()
    for option in params.options:
        value = getattr(params, option)
        if value is not None:
            if not hasattr(settings, option):
                raise UserError(f"OpenCV {cv2.__version__} has no option {option!r} of Tracker{params.algorithm}")
            setattr(settings, option, value)
    files = net_files(params)
    for attribute, path in files.items():
        setattr(settings, attribute, str(path))
    try:
        return getattr(cv2, f"Tracker{params.algorithm}_create")(settings)
    except cv2.error as error:
        if not files:
            raise
        names = ", ".join(str(path) for path in files.values())
        raise UserError(
            f"OpenCV {cv2.__version__} cannot load the nets of opencv:{params.algorithm.lower()} from {names}: "
            f"{str(error).strip()}. Check that these are the files of this tracker, whole, and in this order"
        ) from error


def check_available(algorithm: str) -> None:
    """Raises:
    UserError: the installed OpenCV has no `Tracker<algorithm>`; says where it comes from.
    """
    if hasattr(cv2, f"Tracker{algorithm}_create") and hasattr(cv2, f"Tracker{algorithm}_Params"):
        return
    if algorithm in _CONTRIB:
        cure = (
            "it comes with opencv-contrib-python (with windows) or opencv-contrib-python-headless. Uninstall the "
            "OpenCV package you have first, as they overwrite each other (see INSTALL.md)"
        )
    else:
        cure = f"it comes with OpenCV {_SINCE[algorithm]} and later: upgrade the OpenCV package you use"
    raise UserError(f"OpenCV {cv2.__version__} as installed here has no Tracker{algorithm}: {cure}")


def net_files(params: OpenCVParams) -> dict[str, Path]:
    """Attribute of the cv2 parameters -> file; empty for trackers without nets.

    Raises:
        UserError: a file is not named or not there; says which and how to name it.
    """
    files: dict[str, Path] = {}
    folder: Path | None = None
    for attribute, (field, usual) in _FILES.get(params.algorithm, {}).items():
        files[attribute] = _net_file(params, attribute, field, usual, folder)
        folder = folder or files[attribute].parent
    return files


def _net_file(
    params: OpenCVParams, attribute: str, field: str, usual: tuple[str, ...], folder: Path | None
) -> Path:
    what = f"opencv:{params.algorithm.lower()} needs its {attribute} ({' or '.join(usual)})"
    flag = "--weights FILE (or the folder with its files)" if field == "weights" else f"--set {field}=FILE"
    value = getattr(params, field)
    if value and not Path(value).expanduser().is_dir():
        try:
            return resolve_weights(value)
        except UserError as error:
            raise UserError(f"{what}: there is no file {value}; give it with {flag}") from error
    place = Path(value).expanduser() if value else folder
    if place is None:
        raise UserError(f"{what}: give it with {flag}")
    for name in usual:
        if (place / name).is_file():
            return place / name
    raise UserError(f"{what}: it is not in {place}; give it with {flag}")
