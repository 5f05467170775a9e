"""The picture of a training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr import run_curve
from ltr.admin.errors import UserError
from ltr.trainers.curve import draw_curve, read_curves
from ltr.trainers.logs import EpochLog, read_log

HEADER = "epoch,step,train_filter,train_loss,val_loss,lr,seconds,samples_per_s,data_wait\n"
LINES = "1,10,0.5,1.5,1.2,0.01,3,9,0.1\n2,20,0.4,nan,0.9,0.001,3,9,0.1\n3,30,,0.7,0.8,0.0001,3,9,0.1\n"


def test_figures_are_grouped_by_name_and_phase(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HEADER + LINES)
    curves = read_curves(tmp_path / "log.csv")
    assert list(curves) == ["loss", "filter", "lr"]
    assert curves["loss"] == {"train": [(1, 1.5), (3, 0.7)], "val": [(1, 1.2), (2, 0.9), (3, 0.8)]}
    assert curves["filter"] == {"train": [(1, 0.5), (2, 0.4)]}
    assert curves["lr"] == {"": [(1, 0.01), (2, 0.001), (3, 0.0001)]}


def test_the_picture_shows_both_phases(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HEADER + LINES)
    assert run_curve.main([str(tmp_path), "--title", "toy"]) == 0
    image = cv2.imread(str(tmp_path / "curve.png"))[..., ::-1].astype(int)
    assert image.shape[0] > 300 and image.shape[1] > 900
    left = image[:, : image.shape[1] // 3]
    for colour in ((58, 120, 181), (217, 95, 2)):
        assert (np.abs(left - colour).max(axis=2) < 8).sum() > 50
    svg = draw_curve(tmp_path / "log.csv", tmp_path / "curve.svg")
    assert b"<svg" in svg.read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("", "no epoch yet"),
        (HEADER, "no epoch yet"),
        ("a,b\n1,2\n", "not a training log"),
        ("epoch,train_loss\nx,2\n", "not a training log"),
        ("epoch,train_loss\n1,high\n", "column 'train_loss': 'high' is not a number"),
    ],
)
def test_a_log_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "log.csv").write_text(text)
    assert run_curve.main([str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert words in error and str(tmp_path) in error
    assert not (tmp_path / "curve.png").exists()


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HEADER + LINES)
    with pytest.raises(UserError, match=r"'\.bmpx'; use \.png"):
        draw_curve(tmp_path / "log.csv", tmp_path / "curve.bmpx")


def test_a_log_takes_new_columns_and_drops_epochs_to_come(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    log = EpochLog(path, 0)
    log.append({"epoch": 1, "train_loss": 1 / 3})
    log.append({"epoch": 2, "train_loss": 0.25, "val_iou": float("nan")})
    assert path.read_text() == "epoch,train_loss,val_iou\n1,0.333333,\n2,0.25,nan\n"
    again = EpochLog(path, 1)
    again.append({"epoch": 2, "train_loss": 0.5})
    assert [row["train_loss"] for row in read_log(path)] == ["0.333333", "0.5"]
