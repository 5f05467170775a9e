"""Batches of samples: an index sampler, a collate function and workers that cannot change the data."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ltr.admin.errors import UserError
from ltr.data.sampler import SampleError

Batch = dict[str, torch.Tensor]


class SizedSampler(Protocol):
    """What a loader needs of a source of samples; ``TrackingSampler`` is one."""

    samples_per_epoch: int

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]: ...


@dataclass(frozen=True)
class _Failure:
    """An exception of one sample on its way from the worker, where raising would bury its text."""

    message: str
    by_user: bool


class _Guarded(Dataset[Any]):
    """Returns exceptions instead of raising them, so that the message arrives whole from any process."""

    def __init__(self, samples: SizedSampler) -> None:
        self.samples = samples

    def __getitem__(self, index: int) -> dict[str, torch.Tensor] | _Failure:
        try:
            return self.samples[index]
        except UserError as error:
            return _Failure(str(error), by_user=True)
        except Exception as error:
            where = "" if isinstance(error, SampleError) else f"{type(error).__name__}, sample index {index}: "
            return _Failure(f"{where}{error}\n{traceback.format_exc()}", by_user=False)


class _EpochIndices(Sampler[int]):
    """Yields ``epoch * length + i``: workers that live on learn of the epoch by the index alone.

    Of ``world`` batches in a row each process takes the one of its ``rank``.
    """

    def __init__(self, length: int, batch_size: int) -> None:
        self.length = length
        self.batch_size = batch_size
        self.epoch = 0
        self.first = 0
        self.rank, self.world = 0, 1
        self.end = length

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * self.length
        for first in range(self.first + self.rank * self.batch_size, self.end, self.world * self.batch_size):
            yield from range(start + first, start + min(first + self.batch_size, self.end))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class TrackingLoader:
    """Iterates over the batches of one epoch; each is a dictionary of batch-first tensors.

    Without ``set_epoch`` every pass gives the same samples, which is what validation wants.
    """

    def __init__(
        self,
        samples: SizedSampler,
        batch_size: int,
        num_workers: int = 0,
        epoch_length: int | None = None,
        drop_last: bool = True,
    ) -> None:
        length = samples.samples_per_epoch if epoch_length is None else epoch_length
        if batch_size < 1 or num_workers < 0 or length < 1:
            raise ValueError(
                f"batch_size ({batch_size}) and epoch_length ({length}) must be at least 1, "
                f"num_workers ({num_workers}) at least 0"
            )
        if drop_last and length < batch_size:
            raise ValueError(
                f"an epoch of {length} samples holds no whole batch of {batch_size}: raise "
                "samples_per_epoch, lower batch_size, or use drop_last=False"
            )
        self.samples = samples
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._indices = _EpochIndices(length, batch_size)
        self._num_workers = num_workers
        self._loader: DataLoader[Any] | None = None

    @property
    def num_workers(self) -> int:
        """Worker processes; 0 loads in the calling process. It changes the speed, never the data."""
        return self._num_workers

    @num_workers.setter
    def num_workers(self, value: int) -> None:
        if value < 0:
            raise ValueError(f"num_workers must be at least 0, not {value}")
        self.close()
        self._num_workers = value

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Chooses the epoch of the next pass, and the batch it starts at (after an interruption)."""
        self._indices.epoch = epoch
        self._indices.first = min(first_batch * self.batch_size * self._indices.world, self._indices.length)

    def share(self, rank: int, world: int, even: bool) -> None:
        """Divides the epoch among processes: each has batches of ``batch_size``, ``world`` of them are one step.

        So the samples of a step are those of one process with a batch ``world`` times as large.

        Args:
            rank: This process, from 0.
            world: The number of processes.
            even: All have the same number of whole batches, as training needs it; what is left of the epoch is left
                out. Otherwise the last processes may have a batch less than the first.

        Raises:
            UserError: An epoch is shorter than one such step.
        """
        self.close()
        indices, step = self._indices, self.batch_size * world
        indices.rank, indices.world = rank, world
        if even or self.drop_last:
            indices.end = indices.length // step * step
        if indices.end == 0:
            raise UserError(
                f"an epoch of {indices.length} samples holds no batch of {self.batch_size} for each of {world} "
                "processes: raise samples_per_epoch, or lower batch_size or the number of processes"
            )

    def __len__(self) -> int:
        """Batches in a whole epoch; with several processes, of the first one."""
        whole, rest = divmod(self._indices.end, self.batch_size * self._indices.world)
        return whole + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[Batch]:
        if self._loader is None:
            self._loader = self._make_loader()
        for batch in self._loader:
            if isinstance(batch, _Failure):
                raise (UserError if batch.by_user else SampleError)(batch.message)
            yield batch

    def close(self) -> None:
        """Ends the worker processes; the next pass starts new ones."""
        self._loader = None

    def _make_loader(self) -> DataLoader[Any]:
        return DataLoader(
            _Guarded(self.samples),
            batch_size=self.batch_size,
            sampler=self._indices,
            num_workers=self._num_workers,
            collate_fn=collate,
            drop_last=self.drop_last,
            persistent_workers=self._num_workers > 0,
            worker_init_fn=_init_worker,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # its own: an epoch must not move the global generator
        )


def build_loader(
    sampler: SizedSampler,
    batch_size: int,
    num_workers: int = 0,
    epoch_length: int | None = None,
    drop_last: bool = True,
) -> TrackingLoader:
    """The loader of a sampler.

    Args:
        sampler: Gives sample ``index`` for any non-negative index.
        batch_size: Samples in a batch.
        num_workers: Worker processes, each with one thread; 0 loads in the training process.
        epoch_length: Samples in an epoch, ``sampler.samples_per_epoch`` where ``None``.
        drop_last: Leave out a last batch that is not full (training: yes; validation: no).

    Raises:
        ValueError: A number is out of its range.
    """
    return TrackingLoader(sampler, batch_size, num_workers, epoch_length, drop_last)


def collate(samples: list[dict[str, torch.Tensor] | _Failure]) -> Batch | _Failure:
    """Stacks samples along a new first dimension; the first failed sample stands for the whole batch.

    Raises:
        ValueError: Samples differ in their entries or in the shape of an entry.
    """
    whole: list[dict[str, torch.Tensor]] = []
    for sample in samples:
        if isinstance(sample, _Failure):
            return sample
        whole.append(sample)
    batch: Batch = {}
    for sample in whole:
        if sample.keys() != whole[0].keys():
            raise ValueError(f"samples of one batch have different entries: {sorted(whole[0])} and {sorted(sample)}")
    for key in whole[0]:
        shapes = {tuple(sample[key].shape) for sample in whole}
        if len(shapes) > 1:
            raise ValueError(f"entry '{key}' has different shapes in one batch: {sorted(shapes)}")
        batch[key] = torch.stack([sample[key] for sample in whole])
    return batch


def _init_worker(worker_id: int) -> None:
    """One thread per worker (they would fight for the cores), and signals left to the training process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey_parent_only, daemon=True).start()
    torch.set_num_threads(1)
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(0)


def _obey_parent_only() -> None:
    """Ends this worker on a SIGTERM of the training process, and on no other.

    A signal to the whole process group must not kill the workers while the trainer finishes its step to save;
    ignoring it altogether would let an interpreter that ends wait for its workers for ever.
    """
    while True:
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == os.getppid():
            os._exit(0)
