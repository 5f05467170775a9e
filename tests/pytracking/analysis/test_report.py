"""From result files to a report: what is read, what is missing, what is left out."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from ltr.admin.errors import UsageError, UserError
from pytracking.analysis import ResultSpec, analyze
from pytracking.analysis.rules import get_rule
from pytracking.analysis.tables import auc_table, overview_table, render, sequence_table

BOTH = ["still:exact", "still:off:3"]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("edcf:default", ResultSpec("edcf", "default")),
        ("edcf:default:3", ResultSpec("edcf", "default", 3)),
        ("a:their.package.fast:012", ResultSpec("a", "their.package.fast", 12)),
    ],
)
def test_specs(text: str, spec: ResultSpec) -> None:
    assert ResultSpec.parse(text) == spec
    assert ResultSpec.parse(str(spec)) == spec


@pytest.mark.parametrize("text", ["edcf", "edcf:", ":default", "edcf:default:x", "edcf:default:-1", "a:b:1:2", ""])
def test_malformed_specs_show_the_form(text: str) -> None:
    with pytest.raises(UsageError, match="edcf:default:3"):
        ResultSpec.parse(text)


def test_figures(dataset: Path, results: Path) -> None:
    report = analyze("folder", BOTH, dataset_path=dataset, results=results)
    assert list(report.trackers) == BOTH
    assert report.rule is get_rule("otb")
    exact, off = (report.trackers[label] for label in BOTH)
    assert exact.summary.auc == pytest.approx(20 / 21)
    assert exact.fps == pytest.approx(10.0)
    assert off.fps == pytest.approx(20.0)
    # overlap 1/3 in 11 of 12 frames: above the thresholds 0 to 0.30, 7 of 21
    assert off.summary.auc == pytest.approx((20 + 11 * 7) / (12 * 21))
    assert off.summary.ao == pytest.approx(1 / 3)
    assert off.summary.avg_overlap == pytest.approx((1 + 11 / 3) / 12)
    assert off.summary.dp20 == 1.0
    assert off.summary.norm_at_20 == pytest.approx(1 / 12)  # half a target width away
    assert off.sequences["car"].summary.auc == pytest.approx(off.summary.auc)


def test_json_has_the_promised_keys_and_nothing_that_is_no_number(dataset: Path, results: Path) -> None:
    (results / "still" / "exact" / "car_time.txt").unlink()
    content = analyze("folder", ["still:exact"], dataset_path=dataset, results=results).to_dict()
    assert set(content) == {"dataset", "trackers"}
    tracker = content["trackers"]["still:exact"]
    figures = {"auc", "op50", "op75", "dp20", "norm_precision", "ao", "sr50", "sr75", "fps"}
    assert set(tracker) == figures | {"sequences"}
    assert all(isinstance(tracker[key], float) for key in figures)
    assert list(tracker["sequences"]) == ["ball", "car", "duck"]
    assert tracker["sequences"]["ball"] == {
        "auc": pytest.approx(20 / 21),
        "dp20": 1.0,
        "fps": pytest.approx(10.0),
    }
    assert tracker["sequences"]["car"]["fps"] is None
    assert tracker["fps"] == pytest.approx(10.0)  # of the sequences with times


def test_results_of_pytracking_are_read(dataset: Path, results: Path) -> None:
    path = results / "still" / "exact" / "duck.txt"
    np.savetxt(path, np.loadtxt(path).astype(int), fmt="%d", delimiter=",")
    report = analyze("folder", ["still:exact"], dataset_path=dataset, results=results)
    assert report.trackers["still:exact"].sequences["duck"].summary.auc == pytest.approx(20 / 21)


def test_missing_results_are_named_with_the_command_that_makes_them(dataset: Path, results: Path) -> None:
    (results / "still" / "off_003" / "car.txt").unlink()
    (results / "still" / "off_003" / "duck.txt").rename(results / "still" / "off_003" / "duck.partial.txt")
    with pytest.raises(UserError) as error:
        analyze("folder", BOTH, dataset_path=dataset, results=results)
    text = str(error.value)
    assert "still:off:3: 2 of 3 results are missing" in text
    assert "no result file: car" in text
    assert "the run failed part-way: duck" in text
    assert f"pytracking-run still off folder --dataset_path '{dataset}' --results {results} --runid 3" in text
    assert "--skip_missing" in text
    assert "still:exact" not in text


def test_skip_missing_leaves_a_sequence_out_for_all(
    dataset: Path, results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (results / "still" / "off_003" / "car.txt").unlink()
    report = analyze("folder", BOTH, dataset_path=dataset, results=results, skip_missing=True)
    assert report.sequence_names == ["ball", "duck"]
    assert [list(tracker.sequences) for tracker in report.trackers.values()] == [["ball", "duck"]] * 2
    assert report.left_out == {"car": "still:off:3: no result file"}
    assert "car (still:off:3: no result file)" in caplog.text


@pytest.mark.parametrize(
    ("tracker", "words"),
    [("still:exat", "did you mean still:exact"), ("other:thing", "results of still:exact, still:off_003")],
)
def test_a_tracker_without_results(dataset: Path, results: Path, tracker: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        analyze("folder", [tracker], dataset_path=dataset, results=results)
    with pytest.raises(UserError, match="leaves nothing to evaluate"):
        analyze("folder", [tracker, "still:exact"], dataset_path=dataset, results=results, skip_missing=True)


def test_a_results_folder_that_does_not_exist(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist; give another one with --results"):
        analyze("folder", ["still:exact"], dataset_path=dataset, results=tmp_path / "nowhere")


def test_a_shorter_result_is_scored_by_the_rule_and_named(
    dataset: Path, results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = results / "still" / "exact" / "car.txt"
    np.savetxt(path, np.loadtxt(path)[:6], delimiter="\t")
    report = analyze("folder", ["still:exact"], dataset_path=dataset, results=results)
    assert report.trackers["still:exact"].sequences["car"].summary.op50 == pytest.approx(0.5)
    assert "car.txt has 6 of 12 frames; the missing ones are scored as failures" in caplog.text
    assert "pytracking-run still exact folder" in caplog.text
    caplog.clear()
    report = analyze("folder", ["still:exact"], dataset_path=dataset, results=results, rule="got10k_otb")
    assert report.trackers["still:exact"].sequences["car"].summary.op50 == 1.0
    assert "only these are scored" in caplog.text
    with pytest.raises(UserError, match="incomplete, 6 of 12 frames: car"):
        analyze("folder", ["still:exact"], dataset_path=dataset, results=results, rule="lasot")


def test_a_longer_result_is_cut_and_named(dataset: Path, results: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = results / "still" / "exact" / "car.txt"
    np.savetxt(path, np.concatenate([np.loadtxt(path), np.full((2, 4), 500.0)]), delimiter="\t")
    report = analyze("folder", ["still:exact"], dataset_path=dataset, results=results)
    assert report.trackers["still:exact"].sequences["car"].summary.op50 == 1.0
    assert "has 14 frames, the sequence 12; the last 2 are ignored" in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1\t2\t3\t4\nabc\t2\t3\t4\n", r"unreadable \(.*line 2"),
        ("", "unreadable"),
        ("1\t2\t3\t4\n" * 11 + "1\t2\t-3\t4\n", r"still:exact, sequence 'car'.*line 12"),
        ("1\t2\t3\t4\n" * 11 + "nan\tnan\tnan\tnan\n", r"still:exact, sequence 'car'.*line 12"),
    ],
)
def test_broken_result_files_are_named(dataset: Path, results: Path, content: str, words: str) -> None:
    (results / "still" / "exact" / "car.txt").write_text(content)
    with pytest.raises(UserError, match=words):
        analyze("folder", ["still:exact"], dataset_path=dataset, results=results)


def test_frames_without_annotation_are_in_no_figure(dataset: Path, results: Path) -> None:
    annotation = dataset / "ball" / "groundtruth.txt"
    lines = annotation.read_text().splitlines()
    annotation.write_text("\n".join([*lines[:3], "nan,nan,nan,nan", *lines[4:6]]) + "\n")  # 5 of 12 frames
    path = results / "still" / "exact" / "ball.txt"
    boxes = np.loadtxt(path)
    boxes[[3, *range(6, 12)]] = [500.0, 500.0, 5.0, 5.0]
    np.savetxt(path, boxes, delimiter="\t")
    report = analyze("folder", ["still:exact"], dataset_path=dataset, results=results)
    assert report.trackers["still:exact"].sequences["ball"].summary.op50 == 1.0
    absent = analyze("folder", ["still:exact"], dataset_path=dataset, results=results, rule="uav")
    assert absent.trackers["still:exact"].sequences["ball"].summary.op50 == pytest.approx(5 / 12)


def test_a_result_may_end_with_the_annotation(dataset: Path, results: Path, caplog: pytest.LogCaptureFixture) -> None:
    annotation = dataset / "ball" / "groundtruth.txt"
    annotation.write_text("\n".join(annotation.read_text().splitlines()[:6]) + "\n")
    path = results / "still" / "exact" / "ball.txt"
    np.savetxt(path, np.loadtxt(path)[:6], delimiter="\t")
    with caplog.at_level(logging.WARNING, logger="pytracking.analysis"):
        report = analyze("folder", ["still:exact"], dataset_path=dataset, results=results)
    assert report.trackers["still:exact"].sequences["ball"].summary.op50 == 1.0
    assert "ball.txt" not in [record.message for record in caplog.records if "analysis" in record.name]


def test_sequences_with_the_first_box_only_are_left_out(
    dataset: Path, results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("ball", "car", "duck"):
        annotation = dataset / name / "groundtruth.txt"
        annotation.write_text(annotation.read_text().splitlines()[0] + "\n")
        if name == "ball":
            report = analyze("folder", ["still:exact"], dataset_path=dataset, results=results)
            assert report.sequence_names == ["car", "duck"]
            assert "no frame after the first is annotated: ball" in caplog.text
    with pytest.raises(UserError, match="nothing can be evaluated"):
        analyze("folder", ["still:exact"], dataset_path=dataset, results=results)


def test_boxes_at_the_border_are_told(dataset: Path, results: Path, caplog: pytest.LogCaptureFixture) -> None:
    annotation = dataset / "ball" / "groundtruth.txt"
    lines = annotation.read_text().splitlines()
    annotation.write_text("\n".join([*lines[:11], "0,20,20,10"]) + "\n")
    analyze("folder", ["still:exact"], dataset_path=dataset, results=results)
    assert "count as failures: 1 frames of ball (1)" in caplog.text
    caplog.clear()
    analyze("folder", ["still:exact"], dataset_path=dataset, results=results, rule="got10k_otb")
    assert "count as failures" not in caplog.text


def test_subset_of_sequences_and_its_near_misses(dataset: Path, results: Path) -> None:
    report = analyze("folder", BOTH, dataset_path=dataset, results=results, sequences=["duck", "ball"])
    assert report.sequence_names == ["duck", "ball"]
    with pytest.raises(UsageError, match="did you mean 'duck'"):
        analyze("folder", BOTH, dataset_path=dataset, results=results, sequences=["dukc"])


def test_the_image_size_is_read_where_the_rule_clips(dataset: Path, results: Path) -> None:
    # ball's box ends at x = 41, in an image 64 pixels wide; predictions beyond the border are cut
    path = results / "still" / "exact" / "ball.txt"
    boxes = np.loadtxt(path)
    boxes[1:, 2:] = [500.0, 10.0]
    np.savetxt(path, boxes, delimiter="\t")
    report = analyze("folder", ["still:exact"], dataset_path=dataset, results=results, rule="got10k_val")
    expected = np.mean([20 / (64 - x) for x in boxes[1:, 0]])
    assert report.trackers["still:exact"].sequences["ball"].summary.ao == pytest.approx(expected)
    for image in (dataset / "ball" / "img").glob("*.png"):
        image.write_bytes(b"")
    with pytest.raises(UserError, match="got10k_val_unclipped"):
        analyze("folder", ["still:exact"], dataset_path=dataset, results=results, rule="got10k_val")


def test_no_trackers(dataset: Path) -> None:
    with pytest.raises(UsageError, match="no tracker given"):
        analyze("folder", [], dataset_path=dataset)


def test_tables(dataset: Path, results: Path) -> None:
    report = analyze("folder", BOTH, dataset_path=dataset, results=results)
    overview = overview_table(report).splitlines()
    assert overview[0].split() == [
        "tracker",
        "AUC",
        "OP50",
        "OP75",
        "DP20",
        "NormP",
        "AO",
        "SR50",
        "SR75",
        "fps",
    ]
    assert overview[2].split()[:2] == ["still:exact", "0.952"]
    assert overview[2].split()[-1] == "10.0"
    per_auc = auc_table(report, markdown=True).splitlines()
    assert [cell.strip() for cell in per_auc[0].strip("|").split("|")] == ["AUC", *BOTH]
    assert per_auc[1].startswith("| ---")
    assert per_auc[-1].startswith("| mean")
    assert len(sequence_table(report).splitlines()) == 2 + 3 * 2


def test_markdown_escapes_what_would_break_a_table() -> None:
    assert render(["a", "b"], [["x|y", "1"]], markdown=True).splitlines()[2] == "| x\\|y | 1 |"
