"""Building the operators: finding CUDA in every layout, the switch, and going on where something is missing."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import find_cuda
import pytest
from find_cuda import Missing, Toolkit, Torch, find_toolkit

pytest.importorskip("setuptools", minversion="77")
build_prroi_pool = pytest.importorskip("build_prroi_pool")

REPOSITORY = Path(__file__).resolve().parents[2]
TORCH = Torch(Path("torch"), "2.15.0+cu132", "13.2")
posix = pytest.mark.skipif(os.name == "nt", reason="the programs that are played here are shell scripts")


def program(path: Path, *lines: str) -> Path:
    """Writes a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return path


def toolkit(home: Path, release: str = "13.0", library: str = "lib64/libcudart.so") -> Path:
    """Plays a CUDA toolkit in a folder; its nvcc."""
    (home / library).parent.mkdir(parents=True, exist_ok=True)
    (home / library).touch()
    folder = (home / library).parent
    return program(
        home / "bin" / "nvcc",
        'case "$1" in',
        f"--version) echo 'Cuda compilation tools, release {release}, V{release}.88' ;;",
        f"""--dryrun) echo '#$ TOP={home}/bin/..'; echo '#$ LIBRARIES=  "-L{folder}/stubs" "-L{folder}"' ;;""",
        "--list-gpu-arch) printf 'compute_75\\ncompute_80\\ncompute_89\\ncompute_90\\ncompute_120\\n' ;;",
        "*) exit 1 ;;",
        "esac",
    )


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without CUDA in its environment, path, usual folders and wheels; the one folder on its path."""
    for name in ("CUDA_HOME", "CUDA_PATH", "TORCH_CUDA_ARCH_LIST", "PRROI_POOL_BUILD", "CXX", "CC"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(find_cuda, "USUAL_HOMES", ())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    return folder


# --- finding CUDA ----------------------------------------------------------------------------------------------


def test_without_nvcc_the_remedy_is_named(bare: Path) -> None:
    with pytest.raises(Missing, match=r"no nvcc for CUDA 13.*CUDA_HOME.*nvidia-cuda-nvcc==13\.2\..*nvidia-nvvm==13\.2"):
        find_toolkit(TORCH)
    with pytest.raises(Missing) as older:  # of which there are no wheels with nvcc
        find_toolkit(TORCH._replace(cuda="12.8"))
    assert "pip" not in older.value.remedy


def test_torch_without_cuda_needs_none(bare: Path) -> None:
    with pytest.raises(Missing, match=r"torch 2\.15\.0\+cpu is built without CUDA"):
        find_toolkit(Torch(Path("torch"), "2.15.0+cpu", None))


@posix
@pytest.mark.parametrize("variable", ["CUDA_HOME", "CUDA_PATH"])
def test_environment_comes_first(bare: Path, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toolkit(tmp_path / "other")
    (bare / "nvcc").symlink_to(tmp_path / "other" / "bin" / "nvcc")
    nvcc = toolkit(tmp_path / "chosen", "13.1")
    monkeypatch.setenv(variable, str(tmp_path / "chosen"))
    found = find_toolkit(TORCH)
    assert (found.nvcc, found.version) == (nvcc, "13.1")
    assert found.runtime() == str(tmp_path / "chosen" / "lib64" / "libcudart.so")


@posix
def test_empty_folder_in_the_environment_is_passed_over(
    bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "nothing"))
    nvcc = toolkit(tmp_path / "cuda")
    monkeypatch.setattr(find_cuda, "USUAL_HOMES", (str(tmp_path / "cuda"),))
    assert find_toolkit(TORCH).nvcc == nvcc


@posix
@pytest.mark.parametrize("as_script", [False, True], ids=["link", "script"])
def test_nvcc_on_the_path_leads_to_its_toolkit(bare: Path, as_script: bool, tmp_path: Path) -> None:
    """The libraries lie beside the nvcc that is called in the end, not beside the one on the path."""
    nvcc = toolkit(tmp_path / "cuda-13.0", library="targets/x86_64-linux/lib/libcudart.so")
    if as_script:
        program(bare / "nvcc", f'exec {nvcc} "$@"')
    else:
        (bare / "nvcc").symlink_to(nvcc)
    found = find_toolkit(TORCH)
    assert found.nvcc == bare / "nvcc"
    assert found.runtime() == str(tmp_path / "cuda-13.0/targets/x86_64-linux/lib/libcudart.so")


@posix
def test_wheels_are_found(bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They hold the runtime under its full name only."""
    nvidia = tmp_path / "site-packages" / "nvidia"
    nvcc = toolkit(nvidia / "cu13", library="lib/libcudart.so.13")
    spec = importlib.machinery.ModuleSpec("nvidia", None, is_package=True)
    spec.submodule_search_locations = [str(nvidia)]
    monkeypatch.setattr(importlib.util, "find_spec", {"nvidia": spec}.get)
    found = find_toolkit(TORCH)
    assert found.nvcc == nvcc
    assert found.runtime() == str(nvidia / "cu13/lib/libcudart.so.13")


@posix
def test_release_has_to_fit_to_torch(bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another first number means other libraries; the second may differ."""
    monkeypatch.setenv("CUDA_HOME", str(toolkit(tmp_path / "cuda-12", "12.8").parent.parent))
    with pytest.raises(Missing, match=r"no nvcc for CUDA 13.*cuda-12/bin/nvcc is 12\.8"):
        find_toolkit(TORCH)
    toolkit(tmp_path / "cuda-13", "13.4")
    (bare / "nvcc").symlink_to(tmp_path / "cuda-13" / "bin" / "nvcc")
    assert find_toolkit(TORCH).version == "13.4"


@posix
def test_nvcc_that_does_not_run_is_named(bare: Path) -> None:
    program(bare / "nvcc", "exit 127")
    with pytest.raises(Missing, match=r"nvcc does not run"):
        find_toolkit(TORCH)


def test_runtime_without_a_file_is_left_to_the_linker(tmp_path: Path) -> None:
    assert Toolkit(tmp_path / "nvcc", "13.0", (tmp_path,)).runtime() == "cudart"


def test_nvcc_of_this_machine_is_found() -> None:
    """What CI builds must not shrink unnoticed: an nvcc and a torch that fit have to be found."""
    nvcc = shutil.which("nvcc")
    torch = find_cuda.find_torch()
    if nvcc is None or torch.cuda is None:
        pytest.skip("no nvcc, or no CUDA build of torch")
    if f"release {torch.cuda.split('.')[0]}." not in find_cuda.answer(Path(nvcc), "--version"):
        pytest.skip(f"nvcc does not fit to CUDA {torch.cuda}")
    found = find_toolkit(torch)
    assert Path(found.runtime()).is_file()
    assert found.architectures()


@pytest.mark.parametrize(
    ("torch", "cuda", "compiler", "most"),
    [(True, True, True, "cuda"), (True, False, True, "cpu"), (True, True, False, "none"), (False, True, True, "none")],
)
def test_most_that_can_be_built(
    torch: bool, cuda: bool, compiler: bool, most: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CI demands what this names, and no more."""

    def found(there: bool) -> Callable[..., object]:
        def find(*_: object) -> object:
            if not there:
                raise Missing("it", "get it")
            return TORCH

        return find

    monkeypatch.setattr(build_prroi_pool, "find_torch", found(torch))
    monkeypatch.setattr(build_prroi_pool, "find_toolkit", found(cuda))
    monkeypatch.setattr(shutil, "which", lambda name: name if compiler else None)
    assert build_prroi_pool.most() == most


# --- which GPUs ------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("asked", "gpus", "codes", "words"),
    [
        (None, [], ["75,code=[sm_75]", "80,code=[sm_80]", "90,code=[sm_90,compute_90]"], "7.5, 8.0, 9.0+PTX"),
        (None, ["8.9"], ["89,code=[sm_89,compute_89]"], "8.9+PTX"),
        (None, ["8.0", "9.0"], ["80,code=[sm_80]", "90,code=[sm_90,compute_90]"], "8.0, 9.0+PTX"),
        (None, ["15.0"], ["120,code=[sm_120,compute_120]"], "12.0+PTX"),  # newer than nvcc knows
        (None, ["6.1", "8.0"], ["80,code=[sm_80,compute_80]"], "8.0+PTX"),  # one is too old
        ("8.6", ["9.0"], ["86,code=[sm_86]"], "8.6"),
        ("8.0 9.0a;12.0+PTX", [], ["80,", "90a,code=[sm_90a]", "120,code=[sm_120,comp"], "8.0, 9.0a, 12.0+PTX"),
    ],
)
def test_architectures(
    asked: str | None, gpus: list[str], codes: list[str], words: str,
    bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    if asked:
        monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", asked)
    program(bare / "nvidia-smi", *(f"echo {gpu}" for gpu in gpus))
    flags, text = find_cuda.architecture_flags(Toolkit(toolkit(tmp_path / "cuda"), "13.0", ()))
    assert text == words
    assert len(flags) == len(codes)
    for flag, code in zip(flags, codes, strict=True):
        assert flag.startswith(f"-gencode=arch=compute_{code}")


@posix
@pytest.mark.parametrize(
    ("asked", "gpu", "reason"),
    [("Hopper", "9.0", "TORCH_CUDA_ARCH_LIST holds 'Hopper'"), ("", "6.1", r"compile for the GPU here \(6\.1\)")],
)
def test_architectures_that_cannot_be(
    asked: str, gpu: str, reason: str, bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", asked)
    program(bare / "nvidia-smi", f"echo {gpu}")
    with pytest.raises(Missing, match=reason):
        find_cuda.architecture_flags(Toolkit(toolkit(tmp_path / "cuda"), "13.0", ()))


# --- the build as a whole --------------------------------------------------------------------------------------


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """What the build needs of the sources, in a folder of its own."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder / name)
    leave = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(REPOSITORY / "external", folder / "external", ignore=leave)
    return folder


Done = subprocess.CompletedProcess[str]
Setup = Callable[..., Done]


@pytest.fixture
def setup(sources: Path) -> Setup:
    """Runs setup.py with a switch; `before` is Python that runs first, other arguments are for the environment."""

    def run(*command: str, mode: str = "auto", before: str = "", **environment: str) -> Done:
        code = f"import runpy, sys; sys.argv = ['setup.py', *{command!r}]\n{before}\n"
        code += "runpy.run_path('setup.py', run_name='__main__')"
        return subprocess.run(
            [sys.executable, "-c", code], cwd=sources, capture_output=True, text=True, check=False,
            env={**os.environ, "PRROI_POOL_BUILD": mode, **environment},
        )  # fmt: skip

    return run


BUILD = ("-q", "build_ext", "--inplace")
NO_TORCH = "sys.modules['torch'] = None"  # as in pip's own environment for builds


def lines(done: Done) -> list[str]:
    """What the build says, without what setuptools has to say."""
    return [line for line in done.stdout.splitlines() if line.startswith("prroi_pool: ")]


def modules(sources: Path) -> list[str]:
    return sorted(path.name for path in (sources / "external" / "prroi_pool").iterdir() if path.name.startswith("_C"))


def test_without_torch_one_line_each_and_the_rest_goes_on(setup: Setup, sources: Path) -> None:
    done = setup(*BUILD, before=NO_TORCH)
    assert done.returncode == 0, done.stderr
    cpu, cuda = lines(done)
    assert cpu.startswith("prroi_pool: CPU operator left out: no torch where this is built.")
    assert cuda.startswith("prroi_pool: CUDA operator left out: it needs the CPU operator.")
    assert "--no-build-isolation" in cpu and "INSTALL.md" in cpu
    assert modules(sources) == []


@pytest.mark.parametrize("mode", ["cpu", "cuda"])
def test_without_torch_what_was_asked_for_is_an_error(mode: str, setup: Setup) -> None:
    done = setup(*BUILD, mode=mode, before=NO_TORCH)
    assert done.returncode != 0
    assert "CPU operator not built: no torch where this is built" in done.stderr


def test_none_builds_nothing(setup: Setup, sources: Path) -> None:
    done = setup(*BUILD, mode="none")
    assert done.returncode == 0, done.stderr
    assert lines(done) == ["prroi_pool: no operators are built (PRROI_POOL_BUILD=none)"]
    assert modules(sources) == []


def test_unknown_switch_is_refused(setup: Setup) -> None:
    done = setup(*BUILD, mode="gpu")
    assert done.returncode != 0
    assert "PRROI_POOL_BUILD='gpu' is not known; use one of: auto, cpu, cuda, none" in done.stderr


@posix
def test_failing_compiler_is_one_line_and_leaves_nothing(setup: Setup, sources: Path, tmp_path: Path) -> None:
    """Also nothing of an earlier build, which was made of other sources."""
    (sources / "external" / "prroi_pool" / "_C.abi3.so").touch()
    text = r"cpu.cpp: In function f:\ncpu.cpp:7: error: no such luck\n"
    compiler = program(tmp_path / "c++", f"printf '{text}'", "exit 1")
    done = setup(*BUILD, CXX=str(compiler))
    assert done.returncode == 0, done.stderr
    cpu, cuda = lines(done)
    assert cpu.startswith("prroi_pool: CPU operator left out: cpu.cpp:7: error: no such luck.")
    assert "PRROI_POOL_BUILD=cpu shows all" in cpu and "it needs the CPU operator" in cuda
    assert "In function" not in done.stdout + done.stderr
    assert modules(sources) == []

    done = setup(*BUILD, mode="cpu", CXX=str(compiler))
    assert done.returncode != 0
    assert "cpu.cpp: In function f:" in done.stderr and "CPU operator not built" in done.stderr


def test_failure_that_nobody_foresaw_goes_on_too(setup: Setup, sources: Path) -> None:
    before = "import setuptools.command.build_ext as b; b.build_ext.build_extension = None"
    done = setup(*BUILD, before=before, CUDA_HOME="")
    assert done.returncode == 0, done.stderr
    assert "CPU operator left out: TypeError: 'NoneType' object is not callable" in lines(done)[0]
    assert len(lines(done)) == 2 and modules(sources) == []


@posix
def test_machine_without_a_compiler_keeps_what_was_built_elsewhere(setup: Setup, sources: Path, tmp_path: Path) -> None:
    (sources / "external" / "prroi_pool" / "_C.abi3.so").touch()
    (tmp_path / "bin").mkdir()
    done = setup(*BUILD, PATH=str(tmp_path / "bin"), CXX="c++", CC="cc")
    assert done.returncode == 0, done.stderr
    assert lines(done)[0].startswith("prroi_pool: CPU operator left out: no C++ compiler.")
    assert modules(sources) == ["_C.abi3.so"]


def compiler_that_writes(folder: Path) -> dict[str, str]:
    """The environment of a played compiler and linker that makes a file of what it is given."""
    path = str(program(folder / "c++", 'while [ "$1" != -o ]; do shift; done', 'echo made > "$2"'))
    return {"CXX": path, "CC": path}


@posix
def test_failing_nvcc_leaves_the_cpu_operator(setup: Setup, sources: Path, tmp_path: Path) -> None:
    """Each module stands or falls on its own."""
    if find_cuda.find_torch().cuda is None:
        pytest.skip("no CUDA build of torch")
    release = find_cuda.find_torch().cuda
    toolkit(tmp_path / "cuda", str(release))
    played = {**compiler_that_writes(tmp_path), "CUDA_HOME": str(tmp_path / "cuda")}
    done = setup(*BUILD, **played)
    assert done.returncode == 0, done.stderr
    cpu, cuda = lines(done)
    assert cpu.startswith("prroi_pool: CPU operator built in")
    assert cuda.startswith("prroi_pool: CUDA operator left out:") and "PRROI_POOL_BUILD=cuda shows all" in cuda
    assert modules(sources) == ["_C.abi3.so"]
    done = setup(*BUILD, mode="cuda", **played)
    assert done.returncode != 0
    assert "CUDA operator not built" in done.stderr


def test_wheel_without_operators_is_a_pure_one(setup: Setup, sources: Path) -> None:
    done = setup("-q", "bdist_wheel", before=NO_TORCH)
    assert done.returncode == 0, done.stderr
    assert [path.name.split("-", 2)[2] for path in (sources / "dist").iterdir()] == ["py3-none-any.whl"]


@posix
def test_wheel_with_operators_serves_every_python(setup: Setup, sources: Path, tmp_path: Path) -> None:
    done = setup("-q", "bdist_wheel", mode="cpu", **compiler_that_writes(tmp_path))
    assert done.returncode == 0, done.stderr
    (wheel,) = (sources / "dist").iterdir()
    assert "-cp310-abi3-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if "/_C" in name] == ["prroi_pool/_C.abi3.so"]

    # What was built once must not get into a wheel that is built without.
    done = setup("-q", "bdist_wheel", before=NO_TORCH)
    assert done.returncode == 0, done.stderr
    (pure,) = (sources / "dist").glob("*-py3-none-any.whl")
    assert [name for name in zipfile.ZipFile(pure).namelist() if "/_C" in name] == []


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler")
def test_wheel_with_operators_works(setup: Setup, sources: Path) -> None:
    """The CPU operator compiles without a warning, and the library loads into the torch that is here."""
    done = setup("-q", "bdist_wheel", mode="cpu", CXXFLAGS="-Werror")
    assert done.returncode == 0, done.stderr
    (wheel,) = (sources / "dist").iterdir()
    shutil.unpack_archive(wheel, sources / "installed", "zip")
    code = "from prroi_pool import compiled; print(compiled.status()[1], compiled.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=sources / "installed", capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(sources / "installed")},
    )  # fmt: skip
    assert "available=True" in done.stdout and "installed" in done.stdout, done.stdout + done.stderr
