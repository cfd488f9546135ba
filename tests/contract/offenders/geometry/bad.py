"""Measures that each break one law. The name says how."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, mean
from offmap.figures import Bars, Curve, Gallery, Histogram, Matrix, Scatter
from offmap.inputs import Predictions
from offmap.measure import Cost, Measure, Paper, measure
from offmap.passes import evaluating
from offmap.reading import Reading
from offmap.run import Recipe, Split

OFFENDERS: dict[str, tuple[str, Measure]] = {}  # the law that it breaks, and the measure


def breaks(law, cost=Cost.WEIGHTS, **parts):
    def wrap(function):
        unit = measure(
            asks="What is wrong here?",
            unit="share",
            span=(0.0, 1.0),
            better="neither",
            cost=cost,
            read="0.5: nothing.",
            caution="All of it.",
            next_step="None.",
            paper=Paper("Nobody", "https://example.org/"),
            **parts,
        )(function)
        OFFENDERS[unit.name] = (law, unit)
        return unit

    return wrap


FINE = exact(0.5)

# ---------------------------------------------------------------------------------------- outcome


@breaks("has_outcome")
def raises(train: Split) -> Reading:
    raise ZeroDivisionError("division by zero")


@breaks("has_outcome")
def skips_without_a_word(train: Split) -> Reading:
    raise CannotMeasure("")


@breaks("has_outcome")
def returns_a_number(train: Split) -> Reading:
    return 0.5


@breaks("has_outcome")
def returns_what_no_report_can_hold(train: Split) -> Reading:
    return Reading(FINE, notes=(object(),))


@dataclass(frozen=True)
class Drawing:
    title: str


@breaks("has_outcome")
def draws_its_own_kind_of_figure(train: Split) -> Reading:
    return Reading(FINE, figures=(Drawing("mine"),))


@breaks("has_outcome", per_example=lambda split: torch.zeros(len(split) + 1))
def gives_too_many_rows_for_a_shard(per_example: Tensor) -> Reading:
    return Reading(FINE)


# ------------------------------------------------------------------------------------------- span


@breaks("stays_in_span")
def is_more_than_everything(train: Split) -> Reading:
    return Reading(exact(1.5))


@breaks("stays_in_span")
def may_be_less_than_nothing(train: Split) -> Reading:
    return Reading(Estimate(0.1, -0.1, 0.3, "mean", 10))


@breaks("stays_in_span")
def expects_more_than_everything(train: Split) -> Reading:
    return Reading(FINE, null=exact(1.5))


# ------------------------------------------------------------------------------------- repetition


@breaks("repeats_itself")
def draws_behind_our_back(train: Split) -> Reading:
    with torch.random.fork_rng(devices=[]):
        return Reading(exact(torch.rand(()).item()))


@breaks("repeats_itself")
def differs_in_a_column_only(train: Split) -> Reading:
    with torch.random.fork_rng(devices=[]):
        return Reading(FINE, per_example=torch.rand(len(train), dtype=torch.double))


# ----------------------------------------------------------------------------------------- traces


@breaks("leaves_no_trace")
def draws_from_torch(train: Split) -> Reading:
    torch.rand(())
    return Reading(FINE)


@breaks("leaves_no_trace")
def draws_from_numpy(train: Split) -> Reading:
    np.random.rand()
    return Reading(FINE)


@breaks("leaves_no_trace")
def draws_from_python(train: Split) -> Reading:
    random.random()
    return Reading(FINE)


@breaks("leaves_no_trace")
def leaves_the_model_in_evaluation_mode(model: nn.Module) -> Reading:
    model.eval()
    return Reading(FINE)


@breaks("leaves_no_trace")
def changes_the_mode_of_one_module(model: nn.Module) -> Reading:
    *_, last = model.modules()
    last.train()
    return Reading(FINE)


@breaks("leaves_no_trace", cost=Cost.FORWARD)
def moves_the_statistics_of_batch_norm(model: nn.Module, split: Split) -> Reading:
    modes = {module: module.training for module in model.modules()}
    model.train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        model(split.inputs)
    for module, mode in modes.items():
        module.training = mode
    return Reading(FINE)


@breaks("leaves_no_trace")
def clears_gradients(model: nn.Module) -> Reading:
    model.zero_grad()
    return Reading(FINE)


@breaks("leaves_no_trace", cost=Cost.BACKWARD)
def leaves_gradients(model: nn.Module, split: Split) -> Reading:
    with evaluating(model, gradients=True):
        model(split.inputs).sum().backward()
    return Reading(FINE)


@breaks("leaves_no_trace")
def thaws_frozen_weights(model: nn.Module) -> Reading:
    model.requires_grad_(True)
    return Reading(FINE)


@breaks("leaves_no_trace")
def turns_gradients_off(train: Split) -> Reading:
    torch.set_grad_enabled(False)
    return Reading(FINE)


@breaks("leaves_no_trace")
def computes_in_double(train: Split) -> Reading:
    torch.set_default_dtype(torch.double)
    return Reading(FINE)


@breaks("leaves_no_trace")
def leaves_a_hook(model: nn.Module) -> Reading:
    model.register_forward_hook(lambda *_: None)
    return Reading(FINE)


@breaks("leaves_no_trace")
def changes_a_weight(model: nn.Module) -> Reading:
    with torch.no_grad():
        next(model.parameters()).mul_(1 + 2**-20)
    return Reading(FINE)


@breaks("leaves_no_trace")
def works_in_place(split: Split, *, factor: float = 1 - 2**-20) -> Reading:
    split.inputs.mul_(factor)
    return Reading(FINE)


# --------------------------------------------------------------------------------------- examples


@breaks("answers_each_example")
def forgets_an_example(split: Split) -> Reading:
    return Reading(FINE, per_example=torch.zeros(len(split) - 1))


@breaks("answers_each_example")
def counts_the_wrong_split(split: Split, train: Split) -> Reading:
    return Reading(FINE, per_example=torch.zeros(len(train)))


@breaks("answers_each_example")
def answers_with_infinity(split: Split) -> Reading:
    return Reading(FINE, per_example=torch.full((len(split),), torch.inf))


# ------------------------------------------------------------------------------------------- cost


def _forward(model, split, times=1):
    with evaluating(model):
        for _ in range(times):
            model(split.inputs)


def _backward(model, split, times=1):
    with evaluating(model, gradients=True):
        inputs = split.inputs.clone().requires_grad_()
        out = model(inputs)
        for _ in range(times):
            torch.autograd.grad(out.sum(), inputs, retain_graph=True)


@breaks("costs_what_it_says", cost=Cost.WEIGHTS)
def looks_at_weights_and_runs_them(model: nn.Module, split: Split) -> Reading:
    _forward(model, split.part(0, 1))
    return Reading(FINE)


@breaks("costs_what_it_says", cost=Cost.WEIGHTS)
def reads_predictions_for_nothing(predictions: Predictions) -> Reading:
    return Reading(mean(torch.zeros(len(predictions))))


@breaks("costs_what_it_says", cost=Cost.FORWARD)
def runs_three_times(model: nn.Module, split: Split) -> Reading:
    _forward(model, split, times=3)
    return Reading(FINE)


def _hidden_backward(model, split):
    _backward(model, split)
    return torch.zeros(len(split))


@breaks("costs_what_it_says", cost=Cost.FORWARD, per_example=_hidden_backward)
def goes_back_in_its_shards(per_example: Tensor) -> Reading:
    return Reading(FINE)


@breaks("costs_what_it_says", cost=Cost.FORWARD)
def goes_back_under_vmap(model: nn.Module, split: Split) -> Reading:
    weights = {name: weight.detach() for name, weight in model.named_parameters()}

    def loss(weights, one):
        return torch.func.functional_call(model, weights, (one[None],)).sum()

    with evaluating(model, gradients=True):
        torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, split.part(0, 50).inputs)
    return Reading(FINE)


@breaks("costs_what_it_says", cost=Cost.BACKWARD)
def goes_back_five_times(model: nn.Module, split: Split) -> Reading:
    _backward(model, split, times=5)
    return Reading(FINE)


@breaks("costs_what_it_says", cost=Cost.BACKWARD)
def never_goes_back(model: nn.Module, split: Split) -> Reading:
    _forward(model, split)
    return Reading(FINE)


@breaks("costs_what_it_says", cost=Cost.MANY_PASSES)
def passes_nothing(split: Split) -> Reading:
    return Reading(FINE)


@breaks("costs_what_it_says", cost=Cost.FORWARD)
def trains_in_secret(recipe: Recipe) -> Reading:
    with torch.random.fork_rng(devices=[]):
        recipe.build()
    return Reading(FINE)


@breaks("costs_what_it_says", cost=Cost.RETRAIN)
def boasts_of_training(recipe: Recipe) -> Reading:
    return Reading(FINE)


# ---------------------------------------------------------------------------------------- figures


def _draws(name, kind, *columns, **more):
    def function(train: Split) -> Reading:
        return Reading(FINE, figures=(kind("t", *columns, **more),))

    function.__name__ = name
    breaks("draws_well")(function)


X, Y = torch.tensor([1.0, 2.0]), torch.tensor([0.1, 0.2])
EMPTY, SHORT = torch.zeros(0), torch.zeros(1)
_draws("curve_of_uneven_columns", Curve, "x", "y", X, {"": SHORT})
_draws("curve_without_points", Curve, "x", "y", EMPTY, {"": EMPTY})
_draws("curve_without_series", Curve, "x", "y", X, {})
_draws("curve_with_a_short_band", Curve, "x", "y", X, {"": Y}, low={"": SHORT})
_draws("curve_with_a_band_around_nothing", Curve, "x", "y", X, {"": Y}, high={"other": Y})
_draws("curve_at_the_logarithm_of_zero", Curve, "x", "y", X - 1, {"": Y}, log_x=True)
_draws("curve_to_infinity", Curve, "x", "y", X, {"": Y / 0})
_draws("curve_of_nothing_but_nan", Curve, "x", "y", X, {"": Y * torch.nan})
_draws("scatter_of_uneven_columns", Scatter, "x", "y", X, SHORT)
_draws("scatter_with_one_label", Scatter, "x", "y", X, Y, ("one",))
_draws("histogram_of_as_many_edges_as_bins", Histogram, "x", X, {"": Y})
_draws("histogram_that_goes_back", Histogram, "x", torch.tensor([2.0, 1.0, 3.0]), {"": Y})
_draws("bars_of_nothing", Bars, "y", {})
_draws("matrix_of_another_shape", Matrix, "x", "y", ("a",), ("b",), torch.zeros(2, 1))
_draws("gallery_of_nothing", Gallery, ("train",), torch.zeros(0, 1).long(), ())
_draws("gallery_without_captions", Gallery, ("train",), torch.tensor([[0]]), ())
_draws("gallery_of_no_split", Gallery, ("elsewhere",), torch.tensor([[0]]), ("a",))
_draws("gallery_beyond_the_split", Gallery, ("train",), torch.tensor([[10**6]]), ("a",))
