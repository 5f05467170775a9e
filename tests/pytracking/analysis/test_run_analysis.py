"""The command, run as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from pytracking.analysis import analyze
from pytracking.analysis.plots import curves, draw, save_plots, style

BOTH = ("still:exact", "still:off:3")


def run(repository: Path, cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "pytracking" / "run_analysis.py"), *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_everything_at_once(repository: Path, tmp_path: Path, dataset: Path, results: Path) -> None:
    done = run(
        repository, tmp_path, "folder", *BOTH, "--dataset_path", dataset, "--results", results,
        "--json", "out/figures.json", "--plots", "out/plots", "--per_sequence",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "3 sequences" in lines[0]
    assert "rule 'otb'" in lines[0]
    assert next(line for line in lines if line.startswith("still:exact")).split()[1] == "0.952"
    assert sum(line.startswith(("ball ", "car ", "duck ")) for line in lines) == 3 + 6
    content = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert content == analyze("folder", BOTH, dataset_path=dataset, results=results).to_dict()
    names = {path.name for path in (tmp_path / "out" / "plots").iterdir()}
    stems = ("success", "precision", "norm_precision")
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".pdf")}
    assert all((tmp_path / "out" / "plots" / f"{stem}.pdf").read_bytes().startswith(b"%PDF") for stem in stems)


def test_markdown_and_skip_missing(repository: Path, tmp_path: Path, dataset: Path, results: Path) -> None:
    (results / "still" / "exact" / "car.txt").unlink()
    arguments = ("folder", *BOTH, "--dataset_path", dataset, "--results", results, "--markdown")
    failed = run(repository, tmp_path, *arguments)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "no result file: car" in failed.stderr
    assert "pytracking-run still exact folder" in failed.stderr
    done = run(repository, tmp_path, *arguments, "--skip_missing")
    assert done.returncode == 0
    assert "2 sequences, 1 left out" in done.stdout
    assert done.stdout.count("| still:exact") == 2
    assert "car" in done.stderr
    assert "car" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["foldr", "still:exact"], 2, "did you mean 'folder'"),
        (["folder", "still"], 2, "<tracker>:<parameter>"),
        (["folder", "still:exact", "--rule", "obt"], 2, "did you mean 'otb'"),
        (["folder", "still:exact", "--sequences", "bal"], 2, "did you mean 'ball'"),
        (["folder"], 2, "usage:"),
        (["folder", "still:exact", "--json", "."], 2, "name a file in it"),
        (["folder", "still:exact", "--json", "results/still/exact/car.txt/x"], 1, "cannot write"),
    ],
)
def test_wrong_usage(
    repository: Path,
    tmp_path: Path,
    dataset: Path,
    results: Path,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    done = run(repository, tmp_path, *arguments, "--dataset_path", dataset, "--results", results)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    if status == 1:  # the figures were computed: they are not lost
        assert "0.952" in done.stdout


def test_a_path_that_is_not_set(repository: Path, tmp_path: Path) -> None:
    done = run(repository, tmp_path, "folder", "still:exact")
    assert done.returncode == 1
    assert "local.toml" in done.stderr
    assert "--dataset_path" in done.stderr


def test_help_fits_a_screen_and_shows_an_example(repository: Path, tmp_path: Path) -> None:
    done = run(repository, tmp_path, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) <= 40
    assert "example: run_analysis.py" in done.stdout


def test_torch_is_never_imported(repository: Path, tmp_path: Path, dataset: Path, results: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(repository)!r}); sys.modules['torch'] = None\n"
        "from pytracking.run_analysis import main\n"
        f"sys.exit(main(['folder', 'still:exact', '--dataset_path', {str(dataset)!r}, '--results', "
        f"{str(results)!r}, '--plots', 'plots']))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_styles_differ() -> None:
    assert len({str(style(index)) for index in range(28)}) == 28


def test_plots_show_every_tracker_in_its_own_style(tmp_path: Path, dataset: Path, results: Path) -> None:
    report = analyze("folder", BOTH, dataset_path=dataset, results=results)
    for curve in curves(report):
        axes = draw(curve, "folder").axes[0]
        drawn = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
        assert len(drawn) == 2
        assert [text.get_text()[:11] for text in axes.get_legend().get_texts()] == [
            "still:exact",
            "still:off:3",
        ]
    paths = save_plots(report, tmp_path / "a" / "b")
    image = cv2.imread(str(next(path for path in paths if path.name == "success.png")))
    assert image.shape[0] >= 600
    assert (image < 100).any(axis=2).mean() > 0.01  # something is drawn
    assert b"CreationDate" not in (tmp_path / "a" / "b" / "success.pdf").read_bytes()  # equal figures, equal files
