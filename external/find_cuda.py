"""Where PyTorch, nvcc and CUDA's runtime lie, for building operators. Nothing heavy is imported.

PyTorch is read from its files, not imported: that takes seconds, and importing it may fail where compiling against
its headers does not.
"""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Compiled for where no GPU says what it is: Turing, Ampere, Hopper; what is newer translates the last one's PTX.
DEFAULT_ARCHITECTURES = ("7.5", "8.0", "9.0")
USUAL_HOMES = ("/usr/local/cuda", "/opt/cuda")


class Missing(Exception):
    """Something that building needs is not there.

    Attributes:
        reason: what.
        remedy: how to get it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}. {remedy}")
        self.reason = reason
        self.remedy = remedy


class Torch(NamedTuple):
    """An installed PyTorch.

    Attributes:
        root: the folder of the package, with `include` and `lib`.
        version: such as `2.15.0+cu132`.
        cuda: the CUDA release it was built with, such as `13.2`; None for the CPU build.
    """

    root: Path
    version: str
    cuda: str | None


class Toolkit(NamedTuple):
    """An nvcc that fits to PyTorch.

    Attributes:
        nvcc: the program.
        version: its release, such as `13.0`.
        folders: where its libraries lie.
    """

    nvcc: Path
    version: str
    folders: tuple[Path, ...]

    def runtime(self) -> str:
        """The CUDA runtime library to link: a file, or the name `cudart` where the linker has to know it."""
        for name in ("libcudart.so", "cudart.lib", "libcudart.so.*"):
            for folder in self.folders:
                if found := sorted(folder.glob(name)):
                    return str(found[-1])
        return "cudart"

    def architectures(self) -> list[str]:
        """What nvcc can compile for, such as `["7.5", "8.0"]`, oldest first."""
        found = re.findall(r"compute_(\d+)(\d)\b", answer(self.nvcc, "--list-gpu-arch"))
        return [f"{major}.{minor}" for major, minor in sorted((int(a), int(b)) for a, b in found)]


def find_torch() -> Torch:
    """Raises Missing unless a PyTorch of at least 2.10 is there: older ones have no stable ABI."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise Missing("no torch where this is built", "Install torch, then use pip's --no-build-isolation")
    root = Path(next(iter(spec.submodule_search_locations)))
    facts = runpy.run_path(str(root / "version.py"))
    version, cuda = str(facts["__version__"]), facts.get("cuda")
    release = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if release < (2, 10):
        raise Missing(f"torch {version} is older than 2.10", "Install a newer torch")
    if not (root / "include" / "torch" / "csrc" / "stable").is_dir():
        raise Missing(f"torch {version} in {root} comes without its headers", "Install torch with pip")
    return Torch(root, version, str(cuda) if cuda else None)


def find_toolkit(torch: Torch) -> Toolkit:
    """The first nvcc with the first number of the CUDA release that PyTorch was built with; else raises Missing."""
    if torch.cuda is None:
        raise Missing(f"torch {torch.version} is built without CUDA", "Install a CUDA build of torch")
    wanted = torch.cuda.split(".")[0]
    others = []
    for nvcc in nvcc_candidates():
        release = re.search(r"release (\d+\.\d+)", answer(nvcc, "--version"))
        if release is None:
            others.append(f"{nvcc} does not run")
        elif release[1].split(".")[0] != wanted:
            others.append(f"{nvcc} is {release[1]}")
        else:
            return Toolkit(nvcc, release[1], library_folders(nvcc))
    reason = f"no nvcc for CUDA {wanted}, which torch {torch.version} asks for"
    remedy = f"Install the CUDA toolkit {wanted} and set CUDA_HOME to its folder"
    if int(wanted) >= 13:  # there are wheels of it; those of one release have to be named, together they do not fit
        wheels = (f"nvidia-{name}=={torch.cuda}.*" for name in ("cuda-nvcc", "cuda-crt", "nvvm"))
        remedy += f", or pip install {' '.join(wheels)}"
    raise Missing(f"{reason} ({', '.join(others)})" if others else reason, remedy)


def nvcc_candidates() -> Iterator[Path]:
    """The nvcc of the environment, on the path, in the usual folders, in NVIDIA's wheels; only those that exist."""
    program = "nvcc.exe" if os.name == "nt" else "nvcc"
    homes = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    found = [home / "bin" / program for home in homes]
    found += [Path(path) for path in [shutil.which("nvcc")] if path]
    found += [Path(home, "bin", program) for home in USUAL_HOMES]
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found += sorted(Path(folder).glob(f"cu[0-9]*/bin/{program}"))
    seen = set()
    for nvcc in found:
        if nvcc.is_file() and nvcc.resolve() not in seen:
            seen.add(nvcc.resolve())
            yield nvcc


def library_folders(nvcc: Path) -> tuple[Path, ...]:
    """Where an nvcc finds its libraries, by its own word: it may be a link or a script that calls another one."""
    plan = answer(nvcc, "--dryrun", "-x", "cu", os.devnull)
    folders = [Path(folder) for folder in re.findall(r'"-L(.+?)"', plan)]
    top = re.search(r"TOP=(.*)", plan)
    home = Path(top[1].strip()) if top else nvcc.resolve().parent.parent
    folders += [home / "lib64", home / "lib", home / "lib" / "x64"]
    return tuple(dict.fromkeys(folder.resolve() for folder in folders if folder.is_dir() and folder.name != "stubs"))


def architecture_flags(toolkit: Toolkit) -> tuple[list[str], str]:
    """The flags of nvcc that choose the GPUs to compile for, and the same in words.

    In this order: TORCH_CUDA_ARCH_LIST, such as `8.0;9.0+PTX`; the GPUs that are there; DEFAULT_ARCHITECTURES. The
    newest of those that nobody asked for by name comes with PTX, from which a driver translates for newer GPUs.
    """
    asked = (os.environ.get("TORCH_CUDA_ARCH_LIST") or "").replace(";", " ").split()
    for item in asked:
        if not re.fullmatch(r"\d+\.\d[af]?(\+PTX)?", item):
            raise Missing(f"TORCH_CUDA_ARCH_LIST holds {item!r}", "Write it like '8.0;9.0+PTX'")
    if not asked:
        asked = _suggested(toolkit)
    flags = []
    for item in asked:
        number = item.removesuffix("+PTX").replace(".", "")
        codes = f"sm_{number}" + (f",compute_{number}" if item.endswith("+PTX") else "")
        flags.append(f"-gencode=arch=compute_{number},code=[{codes}]")
    return flags, ", ".join(asked)


def _suggested(toolkit: Toolkit) -> list[str]:
    offered = toolkit.architectures()
    gpus = visible_architectures()
    # A GPU that is newer than nvcc runs what is translated from the newest PTX.
    newest = max(offered, key=_number, default="")
    here = {gpu if gpu in offered else newest for gpu in gpus if gpu in offered or _number(gpu) > _number(newest)}
    chosen = sorted(here, key=_number) if gpus else [item for item in DEFAULT_ARCHITECTURES if item in offered]
    if not chosen:
        what = f"the GPU here ({', '.join(gpus)})" if gpus else f"any of {', '.join(DEFAULT_ARCHITECTURES)}"
        raise Missing(f"nvcc {toolkit.version} cannot compile for {what}", "Name others in TORCH_CUDA_ARCH_LIST")
    return [*chosen[:-1], f"{chosen[-1]}+PTX"]


def _number(architecture: str) -> tuple[int, ...]:
    return tuple(int(part) for part in architecture.split(".") if part)


def visible_architectures() -> list[str]:
    """The compute capabilities of the GPUs of this machine, such as `["9.0"]`; empty without a GPU or its driver."""
    program = shutil.which("nvidia-smi")
    text = answer(Path(program), "--query-gpu=compute_cap", "--format=csv,noheader") if program else ""
    return sorted({line.strip() for line in text.splitlines() if re.fullmatch(r"\d+\.\d", line.strip())}, key=_number)


def answer(program: Path, *arguments: str) -> str:
    """What a program prints; empty if it cannot be run."""
    try:
        done = subprocess.run(
            [str(program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
