"""One look at everything before anything is measured: is it usable, and what exactly is it?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import torch
from torch import Tensor, nn

from offmap.attempt import Failure, InputError, attempt
from offmap.passes import BATCH, device_of, evaluating, named_layer, outputs
from offmap.run import Domain, Split, TrainingRun

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
IMAGE_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class Survey:
    """What one streaming look at a split found.

    Args:
        fingerprint: Hash of inputs, targets and groups, in their order.
        low: Smallest number among the inputs.
        high: Largest number among the inputs.
        mean_square: Mean of their squares.
    """

    fingerprint: str
    low: float
    high: float
    mean_square: float


def survey(split: Split) -> Survey:
    """Read a split once: its fingerprint and range.

    Raises:
        InputError: If it is empty, has one example, or holds a number that is not finite.
    """
    if len(split) < 2:
        raise InputError(f"{split.name}: expected at least two examples, got {len(split)}")
    digest = blake2b(f"{split.shape} {split.table.dtype} {len(split)}".encode(), digest_size=16)
    low, high, squares, start = float("inf"), float("-inf"), 0.0, 0
    for chunk in split.table.chunks():
        digest.update(_bytes(chunk))
        if chunk.is_floating_point():
            _refuse_non_finite(chunk, f"{split.name}: inputs", start)
        least, most = chunk.aminmax()
        low, high = min(low, least.item()), max(high, most.item())
        squares += _sum_of_squares(chunk)
        start += len(chunk)
    for what, values in (("targets", split.known_targets), ("groups", split.groups)):
        if values is not None:
            if values.is_floating_point():
                _refuse_non_finite(values, f"{split.name}: {what}", 0)
            digest.update(f"{what} {tuple(values.shape)} {values.dtype}".encode())
            digest.update(_bytes(values))
    count = len(split) * max(1, torch.Size(split.shape).numel())
    return Survey(digest.hexdigest(), low, high, squares / count)


def _sum_of_squares(chunk: Tensor) -> float:
    flat = chunk.flatten() if chunk.is_floating_point() else chunk.flatten().float()
    return float(torch.dot(flat, flat))


def _refuse_non_finite(values: Tensor, what: str, start: int) -> None:
    if bool(values.isfinite().all()):
        return
    where = (~values.isfinite()).nonzero()[0].tolist()
    value = values[tuple(where)].item()
    place = f"row {where[0] + start}" + (f", element {tuple(where[1:])}" if where[1:] else "")
    raise InputError(f"{what}: expected finite numbers, got {value} at {place}")


def _bytes(values: Tensor) -> memoryview:
    plain = values.detach().cpu().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data


def infer_domain(split: Split, seen: Survey) -> Domain:
    """The contract of an input, read off the data: its range is one of the usual ones or open."""
    shape, dtype = split.shape, split.table.dtype
    if dtype in INTEGERS:
        return Domain(shape, dtype, 0, None, "tokens", inferred=True)
    image = len(shape) == 3 and shape[0] in IMAGE_CHANNELS
    bounds: tuple[float | None, float | None] = (None, None)
    if image:
        for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
            if low <= seen.low and seen.high <= high:
                bounds = (low, high)
                break
    return Domain(shape, dtype, *bounds, "image" if image else "vector", inferred=True)


def check_domain(split: Split, seen: Survey, domain: Domain) -> None:
    """Hold a split against the contract.

    Raises:
        InputError: If shape, type or range differ; it says which, and what may have happened.
    """
    name = split.name
    if split.shape != domain.shape:
        advice = "reshape them"
        if len(domain.shape) == 3 and sorted(split.shape) == sorted(domain.shape):
            advice = "the channels stand in another place: permute them"
        raise InputError(
            f"{name}: expected inputs of shape {domain.shape}, got {split.shape}: {advice}"
        )
    if split.table.dtype != domain.dtype:
        raise InputError(
            f"{name}: expected inputs of type {domain.dtype}, got {split.table.dtype}: convert them"
        )
    slack = 1e-6 * max(1.0, abs(domain.low or 0), abs(domain.high or 0))
    for bound, value, beyond in (
        (domain.low, seen.low, domain.low is not None and seen.low < domain.low - slack),
        (domain.high, seen.high, domain.high is not None and seen.high > domain.high + slack),
    ):
        if beyond:
            bytes_like = seen.low >= 0 and 1.5 < seen.high <= 255 and domain.high == 1
            advice = "divide by 255" if bytes_like else "rescale them, or state another domain"
            said = "as read off the data" if domain.inferred else "as stated"
            raise InputError(
                f"{name}: expected inputs in [{domain.low}, {domain.high}] ({said}), "
                f"got {value:g} (limit {bound:g}): {advice}"
            )


def check_model(run: TrainingRun, domain: Domain) -> None:
    """Try the model on a few examples, and its weights for numbers that are none.

    Raises:
        InputError: If it does not take the data, changes its input, or answers out of shape.
    """
    for name, weight in run.model.state_dict().items():
        if isinstance(weight, Tensor) and weight.is_floating_point():
            bad = int((~weight.isfinite()).sum())
            if bad:
                raise InputError(
                    f"expected finite weights, got {bad} numbers in {name!r} that are not"
                )
    if run.feature_layer is not None:
        named_layer(run.model, run.feature_layer)
    for split in run.splits.values():
        _try_model(run, split.part(0, min(len(split), 8)), domain)


def _try_model(run: TrainingRun, few: Split, domain: Domain) -> None:
    before = few.inputs.to(device_of(run.model))
    inputs = before.clone()  # the user's data stay as they are whatever the model does

    def answer() -> Tensor:
        with evaluating(run.model):
            return next(outputs(run.model, Split(inputs, few.known_targets, name=few.name)))[1]

    out = attempt(answer)
    if isinstance(out, Failure):
        if isinstance(out.error, InputError):
            raise out.error
        raise InputError(
            f"{few.name}: expected a model that takes inputs of shape "
            f"({', '.join(map(str, ('n', *domain.shape)))}) and type {domain.dtype}, "
            f"got {out.summary}"
        )
    if not torch.equal(before, inputs):
        raise InputError(
            "expected a model that leaves its input alone, got one that changes it in place: "
            "use inplace=False in its first layers, or clone the input"
        )
    check_outputs(run, few, out)


def check_outputs(run: TrainingRun, few: Split, out: Tensor) -> None:
    """Does the shape of the output fit the task?

    Raises:
        InputError: If it does not.
    """
    shape, n = tuple(out.shape), len(few)
    if run.task == "classification" and (out.ndim != 2 or shape[1] < 2):
        raise InputError(
            f"expected class scores of shape ({n}, classes) with at least two classes, got {shape}"
        )
    if run.task == "tokens" and (out.ndim != 3 or shape[:2] != tuple(few.targets.shape)):
        raise InputError(
            f"expected scores of shape {(*few.targets.shape, 'vocabulary')}, got {shape}"
        )
    if run.task == "regression" and few.known_targets is not None:
        expected = tuple(few.known_targets.shape)
        if shape != expected:
            raise InputError(
                f"{few.name}: expected outputs of the targets' shape {expected}, got {shape}: "
                "give both a shape of (n, outputs)"
            )
    if run.task == "reconstruction" and shape != (n, *few.shape):
        raise InputError(f"expected outputs of the inputs' shape {(n, *few.shape)}, got {shape}")


def check_targets(run: TrainingRun, split: Split) -> None:
    """Do the targets name classes that the model has?

    Raises:
        InputError: If not, if only one class is there, or if train has no targets at all.
    """
    targets = split.known_targets
    if targets is None and split.name == "train" and run.task != "reconstruction":
        raise InputError(
            f"train: expected targets in a {run.task} run, got none: give what the model was "
            "trained on, or leave train out"
        )
    if targets is None or run.task not in ("classification", "tokens"):
        return
    if targets.is_floating_point():
        raise InputError(f"{split.name}: expected whole-number targets, got {targets.dtype}")
    if run.task == "classification" and targets.ndim != 1:
        raise InputError(
            f"{split.name}: expected one class an example, got targets of shape "
            f"{tuple(targets.shape)}"
        )
    with evaluating(run.model):
        classes = next(outputs(run.model, split.part(0, 2)))[1].shape[-1]
    outside = (targets < 0) | (targets >= classes)
    if bool(outside.any()):
        where = outside.nonzero()[0].tolist()
        raise InputError(
            f"{split.name}: expected targets from 0 to {classes - 1} (the model has {classes} "
            f"outputs), got {targets[tuple(where)].item()} at row {where[0]}"
        )
    main = run.task == "classification" and split.name in ("train", "test")
    if main and bool((targets == targets[0]).all()):
        raise InputError(
            f"{split.name}: expected at least two classes, got only class {targets[0].item()}"
        )


def examine(run: TrainingRun) -> tuple[TrainingRun, Mapping[str, Survey]]:
    """Survey every split, settle the domain, and check that model and data fit each other."""
    seen: dict[str, Survey] = {}
    domain = run.domain
    for name, split in run.splits.items():
        _same_twice(split)
        if domain is not None and split.shape != domain.shape:
            check_domain(split, Survey("", 0, 0, 0), domain)
        seen[name] = survey(split)
        domain = domain or infer_domain(split, seen[name])
        check_domain(split, seen[name], domain)
    assert domain is not None
    run = replace(run, domain=domain)
    check_model(run, domain)
    for split in run.splits.values():
        check_targets(run, split)
    _check_history(run)
    return run, seen


def _same_twice(split: Split) -> None:
    if len(split) and not torch.equal(split.table.read(0, 1), split.table.read(0, 1)):
        first = split.table.read(0, 1)
        if bool((first == first).all()):
            raise InputError(
                f"{split.name}: expected the same example each time row 0 is read, got different "
                "ones: turn off random augmentation"
            )


def _check_history(run: TrainingRun) -> None:
    if run.history is not None and run.train is not None:
        columns = run.history.correct.shape[1]
        if columns != len(run.train):
            raise InputError(
                f"history: expected a column for each of {len(run.train)} training examples, "
                f"got {columns}"
            )


def fingerprint_model(model: nn.Module, few: Split) -> str:
    """Hash of weights, structure, and what it answers to a few examples."""
    digest = blake2b(str(model).encode(), digest_size=16)
    for name, weight in model.state_dict().items():
        digest.update(name.encode())
        if isinstance(weight, Tensor):
            digest.update(_bytes(weight))
    with evaluating(model):
        for _, out in outputs(model, few.part(0, min(len(few), BATCH // 8))):
            digest.update(_bytes(out))
    return digest.hexdigest()


def fingerprint_weights(weights: Mapping[str, Tensor]) -> str:
    """Hash of tensors by name: the same on every device."""
    digest = blake2b(digest_size=16)
    for name, weight in weights.items():
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        digest.update(_bytes(weight))
    return digest.hexdigest()
