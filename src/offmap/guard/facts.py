"""What is known of a guard: what it promises, and what it was made of. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from offmap.codec import decode, encode
from offmap.estimate import Estimate
from offmap.run import Domain, Task

REASONS = ("accepted", "contract", "off_map", "uncertain", "disputed", "drift")
SCHEMA = 1  # of the file that a guard is saved in


@dataclass(frozen=True, slots=True)
class Facts:
    """What a guard was fitted with, and what it promises.

    Args:
        name: How the model is called.
        task: What the model does.
        domain: The contract of an input.
        class_names: How people call the classes.
        feature_layer: The layer whose input the features are.
        scores: Its scores with their settings; more than one make an ensemble.
        alpha: The false-alarm rate that was asked for.
        per_class: Whether it holds for each predicted class.
        confidence: With which certainty it holds for this calibration set; None: on average over
            calibration sets.
        risk: The error that accepted answers may have, with `CERTAINTY`; None: not bounded.
        disputed: The false-alarm rate of the reason `disputed`; None: not asked.
        promise: Of the realized rate at which familiar inputs are refused as off the map.
        accepted_risk: The error of accepted answers; None where `risk` is.
        accepted_share: Share of familiar inputs sure enough for `risk`; None where it is.
        neighbors: How many training examples an answer names.
        counts: Examples by use: train, calibration, reference, selection, atlas.
        fingerprints: Hashes by name: weights, train, calibration.
        seed: Of every random choice.
        version: Of offmap.
    """

    name: str
    task: Task
    domain: Domain
    class_names: tuple[str, ...] | None
    feature_layer: str | None
    scores: Mapping[str, Mapping[str, Any]]
    alpha: float
    per_class: bool
    confidence: float | None
    risk: float | None
    disputed: float | None
    promise: Estimate
    accepted_risk: Estimate | None
    accepted_share: Estimate | None
    neighbors: int
    counts: Mapping[str, int]
    fingerprints: Mapping[str, str]
    seed: int
    version: str

    @property
    def model_version(self) -> str:
        """The beginning of the hash of the network's weights."""
        return self.fingerprints["weights"][:12]


def plain(facts: Facts) -> dict[str, Any]:
    """The facts as JSON values."""
    domain = facts.domain
    said = {field.name: getattr(facts, field.name) for field in fields(facts)}
    said["domain"] = {field.name: getattr(domain, field.name) for field in fields(domain)}
    said["domain"]["dtype"] = str(domain.dtype).removeprefix("torch.")
    return encode(said)


def from_plain(value: Mapping[str, Any]) -> Facts:
    """The inverse of `plain`. Lists in settings become tuples."""
    said = decode(dict(value))
    dtype = getattr(torch, said["domain"]["dtype"])
    return Facts(**said | {"domain": Domain(**said["domain"] | {"dtype": dtype})})


def shared(confidence: float | None, groups: int) -> float | None:
    """The certainty that each group needs for all of them together to have `confidence`."""
    return None if confidence is None else 1 - (1 - confidence) / groups
