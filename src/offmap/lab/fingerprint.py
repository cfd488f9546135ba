"""What a trial depends on: another version of any of it gives another trial, kept apart."""

import ast
import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy
import scipy
import torch

from offmap.lab.claim import Claim, Scale

LANGUAGE = "offmap.lab.claim"  # what a claim is made of; no number comes from there


def key(claim: Claim, scale: Scale, seed: int, threads: int, data: Mapping[str, str]) -> str:
    """Of one trial: the code it runs, its parameters, and the data that it reads.

    Args:
        claim: The claim.
        scale: The scale, whose parameters count.
        seed: Root of the random numbers.
        threads: That it computes with, part of the last bits.
        data: Fingerprint of each file that it reads.
    """
    said = [
        claim.name, code(claim.function.__module__), claim.scales[scale], seed, threads, data,
        *(library.__version__ for library in (torch, numpy, scipy)),
    ]  # fmt: skip
    return blake2b(
        json.dumps(said, sort_keys=True, default=str).encode(), digest_size=12
    ).hexdigest()


@cache
def code(module: str) -> str:
    """Of a module, and of every module of its package that it imports, directly or not."""
    package = module.partition(".")[0]
    seen: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or name in seen or name == LANGUAGE:
            continue
        seen[name] = path.read_bytes()
        waiting += [other for other in _imported(seen[name]) if other.partition(".")[0] == package]
    digest = blake2b(digest_size=16)
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name])
    return digest.hexdigest()


def _imported(source: bytes) -> list[str]:
    """Every module that a source names in an import, and what it imports from it."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _file(module: str) -> Path | None:
    """The source of a module; None if there is no module of that name (a class, a function)."""
    parent = module.rpartition(".")[0]
    if parent and _file(parent) is None:
        return None
    found = importlib.util.find_spec(module) if _is_package(parent) else None
    return Path(found.origin) if found is not None and found.origin else None


def _is_package(module: str) -> bool:
    if not module:
        return True
    found = importlib.util.find_spec(module)
    return found is not None and found.submodule_search_locations is not None
