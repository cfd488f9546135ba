"""Findings on disk: one JSON file a claim, and the page and table of all of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offmap.attempt import InputError, readable
from offmap.engine.store import writing
from offmap.files import write_whole
from offmap.lab.finding import Finding, as_json, from_json
from offmap.lab.page import html, markdown

DIGITS = 6  # significant, of what is drawn


def keep(found: Sequence[Finding], folder: Path) -> Path:
    """Write findings, and the page of all findings of their scale in the folder.

    Args:
        found: At least one finding, all of one scale.
        folder: Where; findings of each scale have a folder of their own in it.

    Returns:
        The page.

    Raises:
        InputError: If the folder cannot be written, or a finding in it cannot be read.
    """
    place = folder / found[0].scale
    with writing(folder):
        for one in found:
            text = json.dumps(_slim(one), indent=1, ensure_ascii=False)
            write_whole(place / f"{one.statement.name}.json", text.encode())
    every = kept(place)
    with writing(folder):
        write_whole(place / "what_holds.md", markdown(every).encode())
        write_whole(place / "what_holds.html", html(every).encode())
    return place / "what_holds.html"


def kept(place: Path) -> list[Finding]:
    """Every finding in a folder, by name.

    Raises:
        InputError: If one cannot be read.
    """
    return [_read(path) for path in sorted(place.glob("*.json"))]


def _read(path: Path) -> Finding:
    def parse() -> Finding:
        found = from_json(json.loads(path.read_text(encoding="utf-8")))
        if not isinstance(found, Finding):
            raise InputError(f"expected a finding in {path}, got {type(found).__name__}")
        return found

    return readable(parse, f"the finding {path}")


def _slim(finding: Finding) -> Any:
    """A finding as JSON, with the figures of the first seed alone, rounded."""
    said = as_json(finding)
    trials = [done["outcome"] for done in said["trials"] if done["outcome"]["kind"] == "Trial"]
    for place, trial in enumerate(trials):
        trial["figures"] = _rounded(trial["figures"]) if place == 0 else []
    return said


def _rounded(value: Any) -> Any:
    """With the floats of its tensors rounded."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
