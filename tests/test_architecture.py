"""The house rules that a parser can check: who may import whom, how long a file is, what libraries never do.

The table `ROOMS` is the plan of the house. A room may import itself, the rooms in its row of the table, and
third-party packages except the ones listed for it in `FOREIGN`. Imports inside functions count too: a lazy
import is still a dependency. Only imports for type checkers (`if TYPE_CHECKING:`) are free.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = ("ltr", "pytracking", "prroi_pool")
EXTERNAL = REPOSITORY / "external"  # the packages in it use nothing of ours and could stand alone

# Room -> the rooms of ours that it may import, itself aside. The longest matching name decides.
ROOMS: dict[str, tuple[str, ...]] = {
    # ground
    "ltr.ops": ("ltr.structures",),
    "ltr.structures": ("ltr.ops",),
    "ltr.admin": (),
    "ltr.admin.checkpoint": ("ltr.admin", "ltr.models.registry", "ltr.models.official"),
    "ltr.admin.foreign": ("ltr.admin.errors",),
    "ltr.admin.export": ("ltr.admin", "ltr.models.registry"),
    "ltr.admin.convert": ("ltr.admin", "ltr.models.registry"),
    "pytracking.api": (),
    "pytracking.registry": ("pytracking.api", "ltr.admin.errors"),
    "prroi_pool": (),
    # floor 1
    "ltr.models": ("ltr.ops", "ltr.structures", "ltr.admin", "prroi_pool"),
    "ltr.losses": ("ltr.ops", "ltr.structures", "ltr.admin", "ltr.models"),
    "pytracking.components": ("ltr.models", "ltr.ops", "ltr.structures", "ltr.admin", "pytracking.api"),
    # floor 2, training
    "ltr.dataset": ("ltr.ops", "ltr.structures", "ltr.admin", "ltr.data.image_io"),
    "ltr.data": ("ltr.ops", "ltr.structures", "ltr.admin", "ltr.dataset"),
    "ltr.actors": ("ltr.ops", "ltr.structures", "ltr.admin", "ltr.models", "ltr.losses"),
    "ltr.trainers": ("ltr.ops", "ltr.structures", "ltr.admin", "ltr.models", "ltr.actors", "ltr.data.loader"),
    "ltr.train_settings": ("ltr",),
    # floor 2, tracking; `tracker.<name>` and `parameter.<name>` have a rule of their own below
    "pytracking.tracker": ("pytracking.api", "pytracking.components", "pytracking.utils",
                           "pytracking.tracker.base", "ltr.models", "ltr.ops", "ltr.structures", "ltr.admin"),
    "pytracking.tracker.base": ("pytracking.api",),
    "pytracking.parameter": ("pytracking.utils", "ltr.admin.overrides", "ltr.admin.errors"),
    "pytracking.utils": ("pytracking.api", "ltr.admin"),
    # between the floors: what makes, checks and multiplies trackers knows none by name
    "pytracking.host": ("pytracking.api", "pytracking.registry", "pytracking.components", "pytracking.utils",
                        "ltr.admin", "ltr.data.image_io"),
    "pytracking.multi": ("pytracking.api", "pytracking.host", "ltr.admin"),
    "pytracking.testing": ("pytracking.api", "pytracking.registry", "pytracking.host", "ltr.admin"),
    # floor 3 and roof
    "pytracking.evaluation": ("pytracking.api", "pytracking.registry", "pytracking.host", "ltr.admin",
                              "pytracking.components.weights", "ltr.dataset.readers", "ltr.data.image_io"),
    "pytracking.evaluation.datasets": ("pytracking.evaluation.sequence", "pytracking.evaluation.video_source",
                                       "ltr.admin", "ltr.dataset", "ltr.data.image_io"),
    "pytracking.analysis": ("pytracking.evaluation.results", "pytracking.evaluation.sequence",
                            "pytracking.evaluation.datasets", "ltr.dataset.readers", "ltr.admin"),
    "pytracking.visualization": ("pytracking.api", "ltr.admin", "ltr.ops"),
}  # fmt: skip

# Room -> packages of others that it must not import.
FOREIGN: dict[str, tuple[str, ...]] = {
    "ltr.admin": ("torch", "cv2", "matplotlib"),
    "ltr.admin.runtime": ("cv2", "matplotlib"),
    "ltr.admin.checkpoint": ("cv2", "matplotlib"),
    "ltr.admin.foreign": ("cv2", "matplotlib"),
    "ltr.admin.foreign.pickles": ("torch", "cv2", "matplotlib"),
    "ltr.admin.foreign.values": ("torch", "cv2", "matplotlib"),
    "ltr.admin.export": ("cv2", "matplotlib"),
    "ltr.dataset": ("torch", "matplotlib"),
    "ltr.data.image_io": ("torch", "matplotlib"),
    "pytracking.api": ("torch", "cv2", "matplotlib"),
    "pytracking.registry": ("torch", "cv2", "matplotlib"),
    "pytracking.parameter": ("torch", "cv2", "matplotlib"),
    "pytracking.analysis": ("torch", "torchvision"),
    "pytracking.evaluation.results": ("torch",),
    "pytracking.evaluation.sequence": ("torch",),
    "pytracking.evaluation.datasets": ("torch",),
}
# Packages that only the street may import: it parses, and draws progress bars.
STREET_ONLY = ("argparse", "tqdm")
# `ltr.ops` and `ltr.structures` are pure functions on arrays and tensors.
PURE = ("torch", "numpy", "cv2")


def source_files() -> list[Path]:
    """Every Python file of our packages."""
    return sorted(path for package in OURS for path in (home(package) / package).rglob("*.py"))


def home(package: str) -> Path:
    """The folder in which a package of ours lies."""
    return EXTERNAL if (EXTERNAL / package).is_dir() else REPOSITORY


def module_name(path: Path) -> str:
    """`ltr/ops/boxes.py` -> `ltr.ops.boxes`; a package's `__init__.py` -> the package."""
    parts = path.relative_to(EXTERNAL if path.is_relative_to(EXTERNAL) else REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def under(name: str, room: str) -> bool:
    """Whether a module is a room or stands in it."""
    return name == room or name.startswith(room + ".")


def room_of(module: str, table: dict[str, tuple[str, ...]]) -> str | None:
    """The longest room of the table in which the module stands."""
    return max((room for room in table if under(module, room)), key=len, default=None)


def foreign_to(module: str) -> tuple[str, ...]:
    """The packages of others that a module must not import."""
    room = room_of(module, FOREIGN)
    return FOREIGN[room] if room else ()


def is_street(module: str) -> bool:
    """Command lines: `ltr.run_training`, `pytracking.run_tracker`, the helpers beside them, `python -m prroi_pool`."""
    beside = module.split(".")[-1].startswith(("run_", "__main__")) and module.count(".") == 1
    return beside or module == "ltr.admin.convert"


def walk_running_code(node: ast.AST) -> Iterator[ast.AST]:
    """Walks a tree, leaving out what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from walk_running_code(other)
            continue
        yield child
        yield from walk_running_code(child)


def is_module(name: str) -> bool:
    parts = name.split(".")
    path = home(parts[0]).joinpath(*parts)
    return path.with_suffix(".py").is_file() or path.is_dir()


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and full name of every import; `from a import b` is `a.b` where that is a module of ours."""
    for node in walk_running_code(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            if node.level:
                base = base[: len(base) - node.level + is_package]
                origin = ".".join([*base, *([node.module] if node.module else [])])
            else:
                origin = node.module or ""
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield node.lineno, inner if origin.split(".")[0] in OURS and is_module(inner) else origin


def own_plugin_room(module: str) -> tuple[str, ...]:
    """What a tracker's package and its parameter files may import besides the table: their own kind only."""
    parts = module.split(".")
    if len(parts) < 3 or parts[0] != "pytracking" or parts[2] == "base":
        return ()
    if parts[1] == "tracker":
        return (".".join(parts[:3]),)
    if parts[1] == "parameter":
        return (".".join(parts[:3]), f"pytracking.tracker.{parts[2]}.params")
    return ()


def import_faults(tree: ast.AST, module: str, is_package: bool = False) -> list[str]:
    """Imports of one module that the house's plan forbids, as `line: reason`."""
    faults = []
    room = room_of(module, ROOMS)
    for line, target in imports(tree, module, is_package):
        top = target.split(".")[0]
        if under(module, "ltr") and top == "pytracking":
            faults.append(f"{line}: ltr never imports pytracking ({target})")
        elif top == "prroi_pool" and not (under(module, "ltr.models") or under(module, "prroi_pool")):
            faults.append(f"{line}: only ltr.models imports prroi_pool")
        elif top in OURS and is_street(target):
            faults.append(f"{line}: {target} is a command line; nothing imports it")
        elif top in OURS and room is not None:
            per_plugin = room in ("pytracking.tracker", "pytracking.parameter")
            allowed = (*ROOMS[room], *(own_plugin_room(module) if per_plugin else (room,)))
            if not any(under(target, name) for name in allowed):
                faults.append(f"{line}: {room} must not import {target}")
        elif top in STREET_ONLY and not is_street(module) and not under(module, "pytracking.cli"):
            faults.append(f"{line}: {top} is for command lines only")
        elif top in foreign_to(module):
            faults.append(f"{line}: {module} must not import {top}")
        elif room in ("ltr.ops", "ltr.structures") and not (top in PURE or top in sys.stdlib_module_names):
            faults.append(f"{line}: {room} imports torch, numpy and cv2 only, not {top}")
    return faults


def dotted(node: ast.expr) -> str:
    """`sys.path.insert` for that expression; empty for anything that is not a dotted name."""
    try:
        return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
    except ValueError:
        return ""


def call_fault(node: ast.Call, module: str) -> str | None:
    """Why a call does not belong into a module, or None."""
    name = dotted(node.func)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "cuda" and name != "torch.cuda":
        return ".cuda(): take a torch.device and use .to(device)"
    if name in ("torch.Tensor", "torch.FloatTensor"):
        return f"{name}(...): use torch.tensor, torch.zeros or new_tensor"
    if name in ("torch.load", "pickle.load", "pickle.loads") and "weights_only=True" not in ast.unparse(node):
        return f"{name} runs code from the file: weights_only=True"
    if name.startswith("sys.path."):
        return "sys.path is left alone"
    if any(word.arg == "type" and dotted(word.value) == "bool" for word in node.keywords):
        return "type=bool is true for every text, 'False' too: use BooleanOptionalAction"
    if not is_street(module):
        if name == "print":
            return "libraries do not print: use logging"
        if name == "logging.basicConfig" and module != "ltr.admin.log":
            return "only command lines configure logging"
    return None


def code_faults(tree: ast.Module, module: str, lines: int, is_package: bool = False) -> list[str]:
    """Breaches of the rules that concern one file alone, as `line: reason`."""
    faults = []
    if lines > (20 if is_package else 400):
        faults.append(f"1: {lines} lines; at most {20 if is_package else 400}")
    future = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    if not future and not is_package and any(not isinstance(node, ast.Expr) for node in tree.body):
        faults.append("1: from __future__ import annotations is missing")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            faults.append(f"{node.lineno}: star import")
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            faults.append(f"{node.lineno}: bare except")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > 60:
                faults.append(f"{node.lineno}: {node.name} has {length} lines; at most 60")
        elif isinstance(node, ast.Call) and (reason := call_fault(node, module)):
            faults.append(f"{node.lineno}: {reason}")
    return faults


def faults_of(source: str, module: str, is_package: bool = False) -> list[str]:
    """Everything wrong with a module's text."""
    tree = ast.parse(source)
    lines = source.count("\n") + (not source.endswith("\n") and bool(source))
    return import_faults(tree, module, is_package) + code_faults(tree, module, lines, is_package)


@pytest.mark.parametrize("path", source_files(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_file_keeps_the_house_rules(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not faults_of(source, module_name(path), is_package=path.name == "__init__.py")


def test_every_module_has_its_place_in_the_plan() -> None:
    """A module in no room of the plan would be held to no rule, after a room was renamed for instance."""
    doors = {"ltr", "pytracking", "pytracking.cli"}  # `prroi_pool` is a room as a whole
    homeless = [
        name
        for name in map(module_name, source_files())
        if not (name in doors or is_street(name) or room_of(name, ROOMS) or under(name, "pytracking.cli"))
    ]
    assert not homeless, f"give these a row in ROOMS: {homeless}"


BREACHES = [
    ("ltr.models.x", "import pytracking.api", "never imports pytracking"),
    ("ltr.ops.x", "import scipy", "torch, numpy and cv2 only"),
    ("ltr.ops.x", "from ltr.admin import paths", "must not import ltr.admin"),
    ("ltr.actors.x", "from ltr.data.sampler import TrackingSampler", "must not import ltr.data"),
    ("ltr.actors.x", "def f():\n    import ltr.dataset", "must not import ltr.dataset"),
    ("ltr.data.x", "import prroi_pool", "only ltr.models"),
    ("prroi_pool.x", "from ltr.ops import boxes", "must not import ltr.ops"),
    ("prroi_pool.x", "import argparse", "command lines only"),
    ("ltr.dataset.x", "import torch", "must not import torch"),
    ("ltr.admin.paths", "import torch", "must not import torch"),
    ("pytracking.tracker.a.tracker", "import pytracking.tracker.b.tracker", "import pytracking.tracker.b"),
    ("pytracking.tracker.a.tracker", "from ..b import tracker", "import pytracking.tracker.b"),
    ("pytracking.tracker.a.tracker", "import pytracking.evaluation.sequence", "import pytracking.evaluation"),
    ("pytracking.parameter.a.x", "import pytracking.tracker.a.tracker", "import pytracking.tracker.a"),
    ("pytracking.parameter.a.x", "import torch", "must not import torch"),
    ("pytracking.evaluation.runner", "import pytracking.tracker.a", "must not import pytracking.tracker"),
    ("pytracking.analysis.metrics", "import torch", "must not import torch"),
    ("pytracking.analysis.load", "import pytracking.evaluation.runner", "import pytracking.evaluation"),
    ("pytracking.analysis.load", "import pytracking.run_tracker", "is a command line"),
    ("ltr.trainers.x", "import tqdm", "command lines only"),
    ("ltr.ops.x", "from numpy import *", "star import"),
    ("ltr.ops.x", "try:\n    pass\nexcept:\n    pass", "bare except"),
    ("ltr.ops.x", "def f(x):\n    return x.cuda()", ".cuda()"),
    ("ltr.ops.x", "print(1)", "do not print"),
    ("ltr.admin.checkpoint", "import torch\ntorch.load('x')", "weights_only=True"),
    ("pytracking.run_x", "import sys\nsys.path.insert(0, '.')", "sys.path"),
    ("pytracking.run_x", "p.add_argument('--a', type=bool)", "type=bool"),
    ("ltr.ops.x", "def f():\n" + "    pass\n" * 60, "61 lines; at most 60"),
    ("ltr.ops.x", "x = 1\n" * 400, "401 lines; at most 400"),
]


@pytest.mark.parametrize(("module", "code", "reason"), BREACHES, ids=[reason for _, _, reason in BREACHES])
def test_a_breach_is_found(module: str, code: str, reason: str) -> None:
    faults = faults_of("from __future__ import annotations\n" + code, module)
    assert len(faults) == 1, faults
    assert reason in faults[0]


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("pytracking.tracker.a.tracker", "import torch\nfrom .params import P\nimport pytracking.api"),
        ("pytracking.parameter.a.x", "import pytracking.tracker.a.params\nimport pytracking.parameter.a.y"),
        ("ltr.admin.paths", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("pytracking.run_x", "import argparse, tqdm\nprint('done')"),
        ("prroi_pool.__main__", "import argparse\nfrom prroi_pool import selfcheck\nprint('done')"),
        ("ltr.models.x", "from prroi_pool import prroi_pool2d"),
    ],
)
def test_what_the_rules_allow_passes(module: str, code: str) -> None:
    assert faults_of("from __future__ import annotations\n" + code, module) == []


def test_missing_future_import_and_long_init_are_found() -> None:
    assert faults_of("x = 1\n", "ltr.ops.x") == ["1: from __future__ import annotations is missing"]
    assert faults_of("", "ltr.ops", is_package=True) == []
    assert "at most 20" in faults_of('"""Doc."""\n' + "\n" * 20, "ltr.ops", is_package=True)[0]


def python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter that finds this checkout."""
    folders = [str(REPOSITORY), str(EXTERNAL)]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {folders!r}\n{code}"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


def test_names_and_tables_come_without_torch(tmp_path: Path) -> None:
    promised = [name for name in map(module_name, source_files()) if "torch" in foreign_to(name)]
    code = f"""
import importlib
for name in ["ltr", "pytracking", *{promised!r}]:
    importlib.import_module(name)
    assert "torch" not in sys.modules, f"importing {{name}} loads torch"
from pytracking.registry import list_parameters, list_trackers, load_parameters
for tracker in list_trackers():
    for parameter in list_parameters(tracker):
        load_parameters(tracker, parameter)
        assert "torch" not in sys.modules, f"the parameters {{tracker}}/{{parameter}} load torch"
"""
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_importing_is_silent_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Every module imports in a bare folder, also where the optional packages are missing."""
    names = [module_name(path) for path in source_files()]
    code = f"""
import importlib
for name in ("visdom", "jpeg4py", "tensorboard", "ray"):
    sys.modules[name] = None  # makes `import` fail as it does where the package is missing
for name in {names!r}:
    importlib.import_module(name)
assert "timm" not in sys.modules, "only nets that are built with it may load timm"
"""
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []
