"""How people call the arrays and columns that hold inputs, targets and groups."""

from collections.abc import Sequence

from offmap.attempt import InputError

INPUTS = ("x", "inputs", "input", "images", "image", "img", "data", "features", "pixel_values")
TARGETS = ("y", "targets", "target", "labels", "label", "class")
GROUPS = ("groups", "group")


def find(
    names: Sequence[str], usual: Sequence[str], *, given: str | None, split: str, where: str
) -> str | None:
    """The one of `names` that is meant; None if nothing was given and no usual name is there.

    A plain usual name (`x`) comes before one with the name of the split (`x_test`, `test_x`).
    Capitals make no difference, except in a name that was given.

    Args:
        names: What the file holds.
        usual: Usual names, the likeliest first.
        given: The name that the user gave, if any.
        split: Name of the split.
        where: The file, for the message.

    Raises:
        InputError: If `given` is not there; the message lists what is.
    """
    if given is not None:
        if given not in names:
            raise InputError(f"{where}: expected {given!r}, got only {listed(names)}")
        return given
    known = {name.lower(): name for name in reversed(names)}
    split = split.lower()
    affixed = [form for name in usual for form in (f"{name}_{split}", f"{split}_{name}")]
    return next((known[name] for name in (*usual, *affixed) if name in known), None)


def listed(names: Sequence[str]) -> str:
    """The names in quotes, the first 20 of them."""
    shown = ", ".join(repr(name) for name in names[:20]) or "nothing"
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
