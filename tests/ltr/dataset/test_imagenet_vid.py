"""ImageNet VID on a small tree of its layout: tracklets, the kept index, and what is said about faults."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UserError
from ltr.dataset.imagenet_vid import ImageNetVID
from ltr.dataset.imagenet_vid import index as index_module

Objects = dict[int, tuple[int, int, int, int, int]]  # track id -> xmin ymin xmax ymax occluded

FIRST = "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000"
SECOND = "train/ILSVRC2015_VID_train_0003/ILSVRC2015_train_01009000"


def annotation(objects: Objects) -> str:
    """An annotation file as the challenge has them; the order of the corners is theirs."""
    body = "".join(
        f"<object><trackid>{track}</trackid><name>n0269115{track}</name><bndbox><xmax>{x1}</xmax><xmin>{x0}</xmin>"
        f"<ymax>{y1}</ymax><ymin>{y0}</ymin></bndbox><occluded>{occluded}</occluded><generated>0</generated></object>"
        for track, (x0, y0, x1, y1, occluded) in objects.items()
    )
    return f"<annotation><folder>x</folder><size><width>64</width><height>48</height></size>\n{body}</annotation>\n"


def add_video(root: Path, video: str, frames: list[Objects]) -> None:
    for kind in ("Annotations", "Data"):
        (root / kind / "VID" / video).mkdir(parents=True)
    for number, objects in enumerate(frames):
        (root / "Annotations" / "VID" / video / f"{number:06d}.xml").write_text(annotation(objects))
        picture = np.full((48, 64, 3), 10 * number, np.uint8)
        picture[..., 2] = 200  # red, in OpenCV's order
        cv2.imwrite(str(root / "Data" / "VID" / video / f"{number:06d}.JPEG"), picture)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ILSVRC2015"
    box = (5, 6, 25, 16, 0)
    add_video(root, FIRST, [
        {0: box},
        {0: (6, 6, 26, 18, 0), 1: (30, 2, 40, 30, 0)},
        {0: (7, 6, 27, 20, 1), 1: (31, 2, 41, 31, 0)},
        {1: (32, 2, 42, 32, 0)},  # object 0 is away for one frame
        {0: (9, 6, 29, 16, 0), 1: (33, 2, 33, 32, 0)},
    ])  # fmt: skip
    add_video(root, SECOND, [{}, {}, {3: box}, {3: (1, 2, 3, 5, 0)}, {7: box}])
    add_video(root, "val/ILSVRC2015_val_00000000", [{0: box}, {0: box}, {0: box}])
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own, so that no test writes to the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pytracking"


def test_tracklets_end_at_the_first_gap(root: Path) -> None:
    videos = ImageNetVID(root)
    infos = {info.name: info for info in map(videos.sequence_info, range(len(videos)))}
    assert sorted(infos) == [
        "ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/0:n02691150",
        "ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/1:n02691151",
        "ILSVRC2015_VID_train_0003/ILSVRC2015_train_01009000/3:n02691153",
    ]  # object 7 is seen in a single frame
    first, second, third = (infos[name] for name in sorted(infos))
    np.testing.assert_array_equal(first.boxes, [[5, 6, 20, 10], [6, 6, 20, 12], [7, 6, 20, 14]])
    assert first.boxes.dtype == np.float32
    assert first.visible.tolist() == [True, True, False]  # marked as occluded
    assert second.visible.tolist() == [True, True, True, False]  # without width
    np.testing.assert_array_equal(third.boxes, [[5, 6, 20, 10], [1, 2, 2, 3]])


def test_frames_are_those_of_the_tracklet(root: Path) -> None:
    videos = ImageNetVID(root)
    names = [videos.sequence_info(seq).name for seq in range(len(videos))]
    late = next(seq for seq, name in enumerate(names) if "01009000/3" in name)
    frames = videos.frames(late, [1, 0])
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 2
    assert frames[0][..., 0].mean() == pytest.approx(200, abs=3)  # red first
    assert [frame[..., 1].mean() for frame in frames] == pytest.approx([30, 20], abs=3)  # file numbers 3 and 2


def test_min_length_and_split(root: Path) -> None:
    assert len(ImageNetVID(root, min_length=1)) == 4
    assert len(ImageNetVID(root, min_length=4)) == 1
    val = ImageNetVID(root, split="val")
    assert val.sequence_info(0).name == "ILSVRC2015_val_00000000/0:n02691150"
    assert val.frames(0, [2])[0].shape == (48, 64, 3)
    with pytest.raises(UserError, match="no sequence of 9 frames"):
        ImageNetVID(root, min_length=9)


def test_the_index_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [ImageNetVID(root).sequence_info(seq) for seq in range(3)]
    assert (root / "pytracking_index_train.npz").is_file()

    def fail(*_: object) -> None:
        raise AssertionError("annotations are read again")

    monkeypatch.setattr(index_module, "_build", fail)
    for seq, info in enumerate(before):
        again = ImageNetVID(root).sequence_info(seq)
        np.testing.assert_array_equal(again.boxes, info.boxes)
        np.testing.assert_array_equal(again.visible, info.visible)
        assert again.name == info.name


def test_a_changed_tree_is_read_anew(root: Path) -> None:
    assert len(ImageNetVID(root)) == 3
    add_video(root, "train/ILSVRC2015_VID_train_0001/ILSVRC2015_train_00500000", [{0: (1, 1, 9, 9, 0)}] * 3)
    assert len(ImageNetVID(root)) == 4
    folder = root / "Annotations" / "VID" / FIRST
    (folder / "000005.xml").write_text(annotation({1: (33, 2, 43, 32, 0)}))
    os.utime(folder, ns=(1, 1))
    assert sorted(len(ImageNetVID(root).sequence_info(seq).boxes) for seq in range(4)) == [2, 3, 3, 5]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_damaged_index_is_made_anew(root: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    file = root / "pytracking_index_train.npz"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert len(ImageNetVID(root)) == 3
    assert "read anew" in caplog.text
    with np.load(file, allow_pickle=False) as stored:
        assert len(stored["boxes"]) == 10


def refuse_below(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing under `folder` fails as on a read-only disk (a test that runs as root has all rights)."""
    write = index_module.atomic_write

    def refusing(path: Path, mode: str = "w"):  # type: ignore[no-untyped-def]
        if folder in Path(path).parents:
            raise UserError(f"cannot write {path}: Read-only file system")
        return write(path, mode)

    monkeypatch.setattr(index_module, "atomic_write", refusing)


def test_a_read_only_root(root: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_below(root, monkeypatch)
    assert len(ImageNetVID(root)) == 3
    assert not (root / "pytracking_index_train.npz").exists()
    assert len(list(own_cache.glob("imagenet_vid_train_*.npz"))) == 1
    monkeypatch.setattr(index_module, "_build", None)
    assert len(ImageNetVID(root)) == 3


def test_no_place_for_the_index(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_below(tmp_path, monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert len(ImageNetVID(root)) == 3
    assert "read anew at every start" in caplog.text


def test_a_cache_folder_of_choice(root: Path, tmp_path: Path) -> None:
    ImageNetVID(root, cache=tmp_path / "own" / "place")
    assert (tmp_path / "own" / "place" / "imagenet_vid_train.npz").is_file()
    assert not (root / "pytracking_index_train.npz").exists()


def test_it_travels_to_worker_processes(root: Path) -> None:
    videos = pickle.loads(pickle.dumps(ImageNetVID(root)))
    np.testing.assert_array_equal(videos.sequence_info(0).boxes, ImageNetVID(root).sequence_info(0).boxes)


def test_the_path_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "local.toml"
    settings.write_text("[datasets]\n")
    monkeypatch.setenv("PYTRACKING_LOCAL", str(settings))
    with pytest.raises(UserError, match=r"imagenet_vid = .*\[datasets\]"):
        ImageNetVID()


def test_another_layout(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*Annotations.*set imagenet_vid"):
        ImageNetVID(tmp_path)


def test_damaged_annotations_end_their_tracklets(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = root / "Annotations" / "VID" / FIRST
    whole = (folder / "000002.xml").read_text()
    (folder / "000002.xml").write_text("<annotation><object>")
    videos = ImageNetVID(root)
    lengths = {info.name[-11:]: len(info.boxes) for info in map(videos.sequence_info, range(len(videos)))}
    assert lengths == {"0:n02691150": 2, "3:n02691153": 2}  # object 1 is left with a single frame
    assert "1 of 10 annotations cannot be read" in caplog.text and "000002.xml" in caplog.text
    assert not (root / "pytracking_index_train.npz").exists()
    (folder / "000002.xml").write_text(whole)
    assert len(ImageNetVID(root)) == 3
    assert (root / "pytracking_index_train.npz").exists()


def test_mostly_damaged_annotations(root: Path) -> None:
    for folder in (FIRST, SECOND):
        for number, text in enumerate(("<annotation><object>", "<ymin>2</ymin>", ">4<")):
            file = root / "Annotations" / "VID" / folder / f"{number + 1:06d}.xml"
            whole = annotation({4: (1, 2, 3, 4, 0)})
            file.write_text(text if number == 0 else whole.replace(text, ">four<" if number == 2 else ""))
    with pytest.raises(UserError, match=r"6 of 10 annotations.*000001\.xml.*000002\.xml.*ymin.*000003\.xml.*; \.\.\."):
        ImageNetVID(root)
    assert not (root / "pytracking_index_train.npz").exists()


def test_a_missing_picture(root: Path) -> None:
    (root / "Data" / "VID" / FIRST / "000001.JPEG").unlink()
    with pytest.raises(UserError, match=r"000001\.JPEG does not exist"):
        ImageNetVID(root).frames(0, [1])


def test_out_of_range(root: Path) -> None:
    videos = ImageNetVID(root)
    with pytest.raises(IndexError, match="sequence 3 of 3"):
        videos.sequence_info(3)
    with pytest.raises(IndexError, match="frame 3 of sequence 0, which has 3"):
        videos.frames(0, [3])
    with pytest.raises(ValueError, match="split"):
        ImageNetVID(root, split="test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="min_length"):
        ImageNetVID(root, min_length=0)
