"""Random numbers that depend on their key alone, and global generators borrowed for a while. Torch-free."""

from __future__ import annotations

import contextlib
import random
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np


def key_number(key: int | str) -> int:
    """A non-negative integer for a key: strings by CRC-32 of their UTF-8 bytes, the same on every machine."""
    if isinstance(key, str):
        return zlib.crc32(key.encode("utf-8"))
    number = int(key)
    # A sign bit apart keeps -1 and 1 different; SeedSequence takes non-negative integers only.
    return 2 * number if number >= 0 else -2 * number - 1


def rng_for(*keys: int | str) -> np.random.Generator:
    """A generator (PCG64) that depends on the keys alone, not on the process, the order or the time.

    Args:
        *keys: integers or strings, e.g. `rng_for(seed, "sampler", index)`.

    Raises:
        ValueError: no key.
    """
    if not keys:
        raise ValueError("rng_for needs at least one key, e.g. the seed")
    # The kind of each key is part of the entropy: else rng_for("a") and rng_for(crc32("a")) were one stream.
    entropy = [part for key in keys for part in (int(isinstance(key, str)), key_number(key))]
    if entropy[-1] == 0:
        entropy.append(2)  # SeedSequence pads with zeros: (0,) and (0, 0) need an end to tell them apart
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


@contextlib.contextmanager
def seeded(seed: int | str) -> Iterator[None]:
    """Seeds the global generators of python, numpy and torch for a block and puts their state back after it.

    torch is touched only where something has imported it already; of its devices the CPU and CUDA.

    Args:
        seed: an integer, or a string (taken by its CRC-32).
    """
    number = key_number(seed) % 2**32
    torch: Any = sys.modules.get("torch")
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - others use it
    torch_state = _torch_state(torch)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002
    if torch is not None:
        torch.manual_seed(number)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch_state is not None:
            torch.set_rng_state(torch_state[0])
            if torch_state[1] is not None:
                torch.cuda.set_rng_state_all(torch_state[1])


def _torch_state(torch: Any) -> tuple[Any, list[Any] | None] | None:
    if torch is None:
        return None
    # Asking an unused CUDA for its state would start it, here and in each worker process.
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if in_use else None
