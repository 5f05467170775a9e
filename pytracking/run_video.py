"""Command line that tracks one object in a video: `python pytracking/run_video.py edcf default clip.mp4`."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: Python then looks into pytracking/ instead of beside it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
from tqdm import tqdm

from ltr.admin.errors import UsageError, UserError
from ltr.admin.files import writable_dir
from ltr.admin.log import DONE, INTERRUPTED, run_cli, setup_logging
from pytracking import cli
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.track import Recording, TrackedFrame, track_frames
from pytracking.evaluation.video_source import FrameStream
from pytracking.visualization.drawing import draw_box, draw_text
from pytracking.visualization.video_writer import VideoWriter
from pytracking.visualization.window import Window, window_available

logger = logging.getLogger(__name__)


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this command."""
    parser = cli.make_parser(
        "run_video.py",
        "%(prog)s TRACKER PARAM VIDEO [options]",
        "Track an object in a video. Without --init_bbox it is marked with the mouse.",
        "run_video.py edcf default clip.mp4 --init_bbox 120 80 60 40 --output tracked.mp4",
    )
    parser.add_argument(
        "tracker", metavar="TRACKER", help="name of a tracker (run_tracker.py --list shows them)"
    )
    parser.add_argument("param", metavar="PARAM", help="name of one of its parameter files")
    parser.add_argument("video", metavar="VIDEO", help="video file, folder of images, URL, or camera index")
    parser.add_argument(
        "--init_bbox",
        nargs=4,
        type=float,
        metavar=("X", "Y", "W", "H"),
        help="the target in the first frame: left, top, width, height in pixels",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="write a video (.mp4, .avi) with the box drawn in"
    )
    parser.add_argument(
        "--save_results", action="store_true", help="write the boxes as <results>/.../video_<name>.txt"
    )
    parser.add_argument("--headless", action="store_true", help="open no window")
    cli.add_tracker_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status (0 done, 1 failed, 2 wrong usage)."""
    args = make_parser().parse_args(argv)
    setup_logging(args.verbose)
    return run_cli(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    show = not args.headless and window_available()
    if args.init_bbox is None and not show:
        reason = "--headless" if args.headless else "no display, or an OpenCV without windows"
        raise UsageError(
            f"--init_bbox X Y W H is needed: there is no window to mark the target in ({reason})"
        )
    # Everything that can be wrong is tried before the tracker is built, which may take long.
    with FrameStream(args.video) as stream:
        frames = iter(stream)
        first = next(frames, None)
        if first is None:
            raise UserError(f"{args.video} has no frames that can be decoded")
        outlets = _Outlets(args, stream, show)
        init_bbox = args.init_bbox or outlets.select_box(first)
        tracker = cli.tracker_spec(args).create()
        tracked = track_frames(
            tracker, itertools.chain([first], frames), {"init_bbox": init_bbox, "seed": args.seed}
        )
        return _follow(tracked, stream, outlets)


def _follow(tracked: Iterable[TrackedFrame], stream: FrameStream, outlets: _Outlets) -> int:
    """Track to the end, or until the user ends it; what was found is saved in any case."""
    interrupted = quit_by_key = False
    try:
        with tqdm(total=stream.length, unit="frame", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
            for frame in tracked:
                bar.update()
                if not outlets.take(frame):
                    quit_by_key = True
                    break
    except KeyboardInterrupt:  # the way to end a camera's stream where there is no window
        interrupted = True
    except BaseException:
        outlets.close(whole=False)
        raise
    has_an_end = stream.length is not None  # a camera has none: its recording is whole whenever it is ended
    outlets.close(whole=not (has_an_end and (interrupted or quit_by_key)))
    sys.stdout.write(outlets.summary() + "\n")
    return INTERRUPTED if interrupted and has_an_end else DONE


class _Outlets:
    """Where tracked frames go: the boxes, the video file, the window."""

    def __init__(self, args: argparse.Namespace, stream: FrameStream, show: bool) -> None:
        self._title = f"{args.tracker} {args.param}"
        self._name = stream.name
        self._recording = Recording(stream.length or 256)
        self._store = None
        if args.save_results:
            self._store = ResultStore(cli.results_root(args), args.tracker, args.param, args.runid)
            writable_dir(self._store.folder)
        self._writer = VideoWriter(args.output, stream.fps or 30.0) if args.output else None
        self._window = Window(f"{self._title}: {stream.name} (q ends)") if show else None
        self._saved: list[str] = []

    def select_box(self, image: np.ndarray) -> list[float]:
        assert self._window is not None  # without a window --init_bbox is asked for before
        return self._window.select_box(image)

    def take(self, frame: TrackedFrame) -> bool:
        """Record and show a frame; False when the user has had enough."""
        self._recording.add(frame)
        if self._writer is None and self._window is None:
            return True
        image = frame.image.copy()
        score = self._recording.scores[-1]
        draw_box(image, frame.box, label="" if np.isnan(score) else f"{score:.2f}")
        draw_text(image, f"{self._title}  #{frame.index}", (4, image.shape[0] - 6))
        if self._writer is not None:
            self._writer.write(image)
        return self._window is None or self._window.show(image)

    def close(self, whole: bool) -> None:
        """Save what there is; boxes of a video that was not tracked to its end as partial ones."""
        if self._window is not None:
            self._window.close()
        recording, name = self._recording, f"video_{self._name}"
        try:
            if self._store is not None and recording.count:
                if whole:
                    path = self._store.write(name, recording.boxes, recording.times, recording.scores)
                else:
                    path = self._store.write_partial(name, recording.boxes)
                self._saved.append(str(path))
        finally:
            if self._writer is not None and (output := self._writer.finish()) is not None:
                self._saved.append(str(output))
        if self._saved and not whole:
            logger.warning("saved up to frame %d: %s", recording.count - 1, ", ".join(self._saved))

    def summary(self) -> str:
        """One line: frames, speed, files."""
        seconds = float(self._recording.times.sum())
        speed = f", {self._recording.count / seconds:.1f} frames/s" if seconds > 0 else ""
        saved = ", ".join(self._saved) or "nothing (see --output, --save_results)"
        return f"{self._title}: {self._recording.count} frames of {self._name}{speed}; saved {saved}"


if __name__ == "__main__":
    sys.exit(main())
