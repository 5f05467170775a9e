"""What the package needs, and which OpenCV it asks for.

Everything else about the package is in pyproject.toml. Nothing heavy is imported here: pip runs this file in
an empty build environment. The compiled operators add themselves to the call at the end; they are built where
torch and a compiler are found (external/build_prroi_pool.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import setup

# The four OpenCV packages install the same folder `cv2` over each other, so exactly one may be asked for.
# Extras cannot take a dependency away, so PYTRACKING_OPENCV makes the choice here, before pip resolves.
OPENCV = {
    "headless": "opencv-python-headless",
    "gui": "opencv-python",
    "contrib": "opencv-contrib-python",
    "contrib-headless": "opencv-contrib-python-headless",
}
OPENCV_VERSION = ">=4.10"

DEPENDENCIES = [
    "torch>=2.8",
    "torchvision>=0.23",
    "numpy>=1.26",
    "matplotlib>=3.7",
    "safetensors>=0.4.3",
    "timm>=1.0.9",
    "tqdm>=4.64",
    "tomli>=2; python_version < '3.11'",
    "typing_extensions>=4; python_version < '3.11'",
]

TEST = ["pytest>=8", "pytest-timeout>=2.3", "hypothesis>=6.80", "setuptools>=77"]

EXTRAS = {
    "jpeg4py": ["jpeg4py>=0.1.4"],  # needs the system library libturbojpeg
    # Build visdom with build-constraints.txt; its page is answered with 403 by newer releases of tornado.
    "visdom": ["visdom>=0.2.4", "tornado<6.6"],
    "tensorboard": ["tensorboard>=2.14"],
    "onnx": ["onnx>=1.17", "onnxscript>=0.2", "onnxruntime>=1.19"],
    "coco": ["pycocotools>=2.0.8"],
    "cluster": ["ray>=2.9"],
    "docs": ["mkdocs>=1.6,<2"],
    "test": TEST,
    "dev": [*TEST, "ruff>=0.9", "mypy>=1.15"],
}


def opencv_requirements(choice: str) -> tuple[list[str], dict[str, list[str]]]:
    """Returns the OpenCV part of the dependencies and one extra per OpenCV package.

    An extra that disagrees with the chosen package asks for a release of it that cannot exist, so that pip
    and uv refuse, naming the variable to set, instead of installing two packages over each other.
    """
    if choice not in (*OPENCV, "none"):
        raise SystemExit(f"PYTRACKING_OPENCV={choice!r} is not known; use one of: {', '.join(OPENCV)}, none")
    extras = {}
    for name, package in OPENCV.items():
        extras[name] = [package + OPENCV_VERSION]
        if choice not in (name, "none"):
            extras[name].append(f"{OPENCV[choice]}==0+set.PYTRACKING_OPENCV.to.{name.replace('-', '.')}")
    return ([] if choice == "none" else [OPENCV[choice] + OPENCV_VERSION]), extras


sys.path.insert(0, str(Path(__file__).resolve().parent / "external"))  # where pip starts this file, it is not there
from build_prroi_pool import setup_arguments  # noqa: E402

opencv, opencv_extras = opencv_requirements(os.environ.get("PYTRACKING_OPENCV") or "headless")
setup(install_requires=[*DEPENDENCIES, *opencv], extras_require={**EXTRAS, **opencv_extras}, **setup_arguments())
