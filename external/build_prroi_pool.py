"""Builds the compiled operators of `prroi_pool`, where what they need is there.

The operators are two modules on PyTorch's stable ABI, so one build serves every torch from 2.10 on and every
Python from 3.10 on: `_C` (the schema and the CPU operator) and `_C_cuda`. PRROI_POOL_BUILD chooses:

    auto  (default) builds what can be built; for the rest, one line says what is missing and how to get it
    cpu   the CPU operator, or an error
    cuda  both, or an error
    none  nothing

Run as a program, it prints which of these is the most that can be built here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from find_cuda import Missing, Torch, architecture_flags, find_toolkit, find_torch
from setuptools import Extension
from setuptools.command.build_ext import build_ext

SOURCES = "external/prroi_pool/csrc"  # from the folder of setup.py, as setuptools wants it
CPU, CUDA = "prroi_pool._C", "prroi_pool._C_cuda"
SWITCH = "PRROI_POOL_BUILD"
MODES = {"auto": (CPU, CUDA), "cpu": (CPU,), "cuda": (CPU, CUDA), "none": ()}
TARGET = ("TORCH_TARGET_VERSION", "0x020a000000000000")  # torch 2.10, the first with all that the operators use


class Failed(Exception):
    """A compiler or linker ended with an error; `output` is what it printed."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output

    def reason(self) -> str:
        """The first line that speaks of an error, else the last one."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        telling = [line for line in lines if re.search(r"error\b|fatal|undefined reference|cannot find", line, re.I)]
        return (telling or lines[-1:] or ["it printed nothing"])[0][:200]


def mode() -> str:
    """The value of PRROI_POOL_BUILD; SystemExit if it is not known."""
    value = os.environ.get(SWITCH) or "auto"
    if value not in MODES:
        raise SystemExit(f"{SWITCH}={value!r} is not known; use one of: {', '.join(MODES)}")
    return value


def setup_arguments() -> dict[str, Any]:
    """What setup.py hands to setuptools. Nothing is looked for before something is built."""
    headers = sorted(path.as_posix() for path in Path(SOURCES).glob("*.*h"))
    files = {CPU: ["library.cpp", "cpu.cpp"], CUDA: ["cuda.cu"]}
    modules = [
        Extension(name, [f"{SOURCES}/{file}" for file in files[name]], depends=headers, language="c++",
                  py_limited_api=has_stable_abi())
        for name in MODES[mode()]
    ]  # fmt: skip
    arguments: dict[str, Any] = {"cmdclass": {"build_ext": BuildOperators}, "ext_modules": modules}
    if has_stable_abi():
        arguments["options"] = {"bdist_wheel": {"py_limited_api": "cp310"}}
    return arguments


def has_stable_abi() -> bool:
    """Whether this Python loads modules built for the stable ABI; those without a global lock do not yet."""
    return sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")


class BuildOperators(build_ext):
    """`build_ext` that leaves out what cannot be built, and leaves nothing half-built behind."""

    extensions: list[Extension]

    def run(self) -> None:
        """Builds into the build folder, then with --inplace copies to the package."""
        self.force = True  # a few seconds; an interrupted build leaves files that look up to date
        self.to_package = self.inplace  # setuptools sets it to false while it builds
        for left in Path(self.build_lib, "prroi_pool").glob("_C*"):  # by an earlier build; it would get into the wheel
            left.unlink()
        if not self.extensions:
            say(f"no operators are built ({SWITCH}={mode()})")
        super().run()

    def build_extensions(self) -> None:
        """Builds each module on its own, and takes those that failed out of the distribution."""
        built: list[Extension] = []
        remedy = ""
        for extension in self.extensions:
            title = "CUDA operator" if extension.name == CUDA else "CPU operator"
            started = time.perf_counter()
            try:
                if extension.name == CUDA and mode() == "auto" and not built:
                    raise Missing("it needs the CPU operator", remedy)
                details = self._build(extension)
            except Missing as missing:
                remedy = missing.remedy
                self._leave_out(title, missing.reason, remedy)
            except Exception as error:  # whatever it is, the rest can be installed
                self._drop(extension)
                failed = error if isinstance(error, Failed) else Failed(f"{type(error).__name__}: {error}")
                remedy = f"{SWITCH}={title[:-9].lower()} shows all that the compiler says"
                self._leave_out(title, failed.reason(), remedy, failed.output)
            else:
                built.append(extension)
                say(f"{title} built in {time.perf_counter() - started:.0f} s ({details})")
        self.extensions = self.distribution.ext_modules = built
        wheel = self.distribution.get_command_obj("bdist_wheel", create=False)
        if wheel is not None and not built:
            wheel.root_is_pure = True

    def copy_file(self, infile: Any, outfile: Any, *args: Any, **kwargs: Any) -> Any:
        """Copies under another name and renames: a process that has the old file loaded keeps it."""
        partial = Path(f"{outfile}.part")
        super().copy_file(infile, str(partial), *args, **kwargs)
        return str(partial.replace(outfile)), True

    def _build(self, extension: Extension) -> str:
        """Compiles and links one module; what for, in words."""
        if not has_stable_abi():
            raise Missing("this Python has no stable ABI", "Use CPython with its global lock")
        torch = find_torch()
        self._prepare_compiler()
        extension.include_dirs = [SOURCES]
        extension.library_dirs = [str(torch.root / "lib")]
        extension.libraries = ["torch_cpu"]
        if extension.name == CUDA:
            details = self._compile_cuda(extension, torch)
        else:
            extension.define_macros = [TARGET]
            extension.extra_compile_args = self._flags(torch.root / "include")
            details = f"torch {torch.version}"
        super().build_extension(extension)
        return details

    def _prepare_compiler(self) -> None:
        if os.name == "nt":
            return  # setuptools looks for the compiler itself
        if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
            raise Missing("Python.h is not there", "Debian, Ubuntu: apt-get install python3-dev")
        compiler: Any = self.compiler
        if shutil.which(compiler.compiler_so_cxx[0]) is None:
            other = next(filter(shutil.which, ("c++", "g++", "clang++")), None)
            if other is None:
                raise Missing("no C++ compiler", "Debian, Ubuntu: apt-get install g++; macOS: xcode-select --install")
            for tool in ("compiler_so_cxx", "linker_so_cxx"):
                setattr(compiler, tool, [other, *getattr(compiler, tool)[1:]])
        for runner in ("call", "spawn"):  # one is newer setuptools' name for it, one older setuptools'
            setattr(compiler, runner, run_quietly)

    def _flags(self, include: Path) -> list[str]:
        if os.name == "nt":
            return ["/std:c++17", "/O2", f"/I{include}"]
        return ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-Wall", "-Wextra", "-isystem", str(include)]

    def _compile_cuda(self, extension: Extension, torch: Torch) -> str:
        """Compiles the sources with nvcc and leaves the rest, linking, to setuptools."""
        toolkit = find_toolkit(torch)
        flags, architectures = architecture_flags(toolkit)
        command = [str(toolkit.nvcc), "-c", "-std=c++17", "-O3", f"-D{'='.join(TARGET)}", "-DUSE_CUDA"]
        command += [*flags, f"--threads={min(len(flags), os.cpu_count() or 1)}"]
        for include in (torch.root / "include", sysconfig.get_paths()["include"]):
            command += ["-isystem", str(include)]
        if os.name != "nt":
            command += ["-Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra"]
        Path(self.build_temp).mkdir(parents=True, exist_ok=True)
        objects = []
        for source in extension.sources:
            objects.append(str(Path(self.build_temp, Path(source).name + (".obj" if os.name == "nt" else ".o"))))
            run_quietly([*command, source, "-o", objects[-1]])
        extension.sources = []
        extension.extra_objects = objects
        extension.libraries += ["torch_cuda"]
        if (runtime := toolkit.runtime()) == "cudart":
            extension.libraries += [runtime]
        else:
            extension.extra_objects += [runtime]
        return f"torch {torch.version}, nvcc {toolkit.version}, for {architectures}"

    def _drop(self, extension: Extension) -> None:
        """Removes what a failed build left, and what an earlier one made of other sources."""
        built = Path(self.get_ext_fullpath(extension.name))
        built.unlink(missing_ok=True)
        if self.to_package:
            package = self.get_finalized_command("build_py").get_package_dir("prroi_pool")
            Path(package, built.name).unlink(missing_ok=True)

    def _leave_out(self, title: str, reason: str, remedy: str, output: str = "") -> None:
        """Says so in one line; where the module was asked for, ends with an error."""
        if mode() != "auto":
            raise SystemExit(f"{output}\nprroi_pool: {title} not built: {reason}. {'' if output else remedy}".strip())
        say(f"{title} left out: {reason}. Pooling works without it. {remedy} (INSTALL.md, 'Compiled operators').")


def run_quietly(command: list[str], **_: Any) -> None:
    """Runs a compiler; what it prints is shown only in the error, Failed."""
    done = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout}")


def say(line: str) -> None:
    """Prints a line of the build."""
    print(f"prroi_pool: {line}", flush=True)


def most() -> str:
    """Which of the modes `none`, `cpu` and `cuda` can be built here, as far as can be seen without compiling."""
    try:
        torch = find_torch()
        if not has_stable_abi() or not any(map(shutil.which, ("c++", "g++", "clang++"))):
            return "none"
    except Missing:
        return "none"
    try:
        find_toolkit(torch)
    except Missing:
        return "cpu"
    return "cuda"


if __name__ == "__main__":
    print(most())
