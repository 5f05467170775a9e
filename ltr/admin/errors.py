"""Errors whose message is meant for the person at the keyboard. Torch-free."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LISTED = 40  # names shown of a long list: the near misses stand before it anyway


class UserError(Exception):
    """Something the user can put right; the message names the thing and the remedy.

    Command lines print it without a traceback and exit with status 1.
    """


class UsageError(UserError):
    """A wrong name, value or combination of arguments; command lines exit with status 2."""


def near_misses(name: str, options: Iterable[str], limit: int = 3) -> list[str]:
    """Options that look like a misspelt `name`, the nearest first; upper and lower case are the same."""
    by_lower: dict[str, str] = {}
    for option in options:
        by_lower.setdefault(option.lower(), option)
    matches = difflib.get_close_matches(name.lower(), by_lower, n=limit, cutoff=0.6)
    return [by_lower[match] for match in matches]


def unknown_name(kind: str, name: str, options: Iterable[str], hint: str = "") -> UsageError:
    """Builds the error for a name that does not exist.

    Args:
        kind: what the name should have named, e.g. "tracker".
        name: the name given.
        options: the names that exist.
        hint: a sentence appended to the message.

    Returns:
        An error such as "unknown tracker 'edfc'; did you mean 'edcf'? Available: edcf, opencv".
    """
    ordered = sorted(options)
    near = near_misses(name, ordered)
    meant = f"; did you mean {' or '.join(repr(match) for match in near)}?" if near else "."
    shown = ", ".join(ordered[:_LISTED]) + (f", … ({len(ordered)} in all)" if len(ordered) > _LISTED else "")
    message = f"unknown {kind} {name!r}{meant} Available: {shown or '(none)'}"
    return UsageError(f"{message}. {hint}" if hint else message)
