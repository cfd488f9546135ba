"""A report made by hand: every kind of figure and outcome, real cards, and hostile strings."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from offmap.catalog import measures
from offmap.estimate import Estimate, bootstrap, exact, mean, proportion, replicates
from offmap.figures import Bars, Curve, Gallery, Histogram, Matrix, Scatter
from offmap.plan import Plan, Planned, Shared
from offmap.reading import Entry, Failed, Reading, Skipped
from offmap.report.report import Provenance, Report
from offmap.report.thumbnails import thumbnails
from offmap.run import Domain, Split

HOSTILE = "</script><script>alert('<b>x</b>')</script> & \"quoted\" 日本 \x1b[31m"
ROWS = 20_000


def estimate(value, low=None, high=None, method="mean", n=ROWS):
    return Estimate(
        value, value if low is None else low, value if high is None else high, method, n
    )


def entry(measure, split, outcome, **fields):
    question = measures()[measure].question
    settings = dict(measures()[measure].settings)
    return Entry(
        measure, question, split, outcome, settings, seconds=1.3, peak_bytes=2**24, **fields
    )


def figures(generator):
    """One of each kind, small and large."""
    x = torch.linspace(0, 1, 3000, dtype=torch.double)
    wave = 0.5 + 0.4 * torch.sin(9 * x)
    names = ("airplane", "bird", HOSTILE, "a class with a rather long name")
    points = torch.randn(4000, 2, generator=generator, dtype=torch.double)
    return {
        "curve": Curve(
            "Share covered by distance", "distance", "share", x,
            {"test": wave, "fog": wave * 0.8}, {"test": wave - 0.05}, {"test": wave + 0.05},
        ),
        "log": Curve(
            "Spectrum", "rank", "eigenvalue", torch.arange(0.0, 60.0).double(),
            {"features": torch.exp(-torch.arange(0.0, 60.0).double() / 9)}, log_x=True, log_y=True,
        ),
        "histogram": Histogram(
            "Norm of the input gradient", "norm", torch.linspace(0, 4, 25),
            {
                "hits": torch.histc(points[:3000, 0].abs(), 24, 0, 4),
                "mistakes": torch.histc(points[3000:, 0].abs() + 0.8, 24, 0, 4),
            },
        ),
        "scatter": Scatter(
            "Distance and loss", "distance", "loss", points[:, 0], points[:, 1] + points[:, 0],
            tuple(("hit", "mistake", HOSTILE)[i % 3] for i in range(4000)),
        ),
        "bars": Bars(
            "Error by group", "error",
            {name: proportion(10 * (k + 1), 100) for k, name in enumerate(names)},
        ),
        "matrix": Matrix("Cosines of class means", "class", "class", names, names,
                         torch.eye(4).double() * 1.2 - 0.2),
        "gallery": Gallery(
            "Farthest of test, each beside its nearest in train", ("test", "train"),
            torch.randint(0, 200, (40, 2), generator=generator),
            (*(f"distance {k / 7:.3g}" for k in range(39)), HOSTILE),
        ),
    }  # fmt: skip


def splits(generator, shape=(1, 28, 28)):
    """Images by split, brighter towards one corner."""
    ramp = torch.linspace(0, 1, 28)[:, None] * torch.linspace(0, 1, 28)[None]
    made = {}
    for name in ("train", "test", "fog"):
        noise = torch.rand(200, *shape, generator=generator)
        made[name] = Split(0.6 * ramp * torch.ones(shape) + 0.4 * noise, name=name)
    return made


def make_report(seed=0, name="digits-cnn"):
    """The report; another seed, other noise."""
    generator = torch.Generator().manual_seed(seed)
    drawn = figures(generator)
    hits = (torch.rand(ROWS, generator=generator, dtype=torch.double) < 0.9).double()
    loss = torch.rand(ROWS, generator=generator, dtype=torch.double)
    loss[7] = float("nan")
    many = {f"group {k}": proportion(k % 50, 60) for k in range(300)}
    entries = (
        entry("overparameterization", "", Reading(
            exact(-0.43), null=exact(0.0),
            parts={"trainable parameters": exact(52_138),
                   "parameters per number to fit": exact(0.37)},
            figures=(drawn["log"],))),
        entry("random_label_fit", "", Skipped("the run has no recipe")),
        entry("gradient_signal", "", Reading(
            bootstrap(torch.mean, loss[8:400], generator=generator), null=exact(1.0),
            notes=("Rests on few examples.", HOSTILE))),
        entry("seed_spread", "", Skipped("the run has no recipe")),
        entry("generalization_gap", "test", Reading(
            estimate(0.021, 0.013, 0.029, "difference"), null=exact(0.0),
            parts={"error here": proportion(31, 1000), "error on train": proportion(10, 1000)},
            figures=(drawn["bars"],))),
        entry("calibration_error", "test", Reading(
            estimate(0.192, 0.171, 0.214, "bootstrap"),
            null=estimate(0.008, 0.0, 0.016, "bootstrap"),
            parts=many, figures=(drawn["curve"],), per_example=loss)),
        entry("noise_sensitivity", "test", Failed(
            f"RuntimeError: {HOSTILE}",
            f"Traceback (most recent call last):\n  File x\n{HOSTILE}")),
        entry("noise_sensitivity", "fog", Reading(
            mean(1 - hits), null=exact(0.0), per_example=1 - hits)),
        entry("accuracy_under_shift", "fog", Reading(
            estimate(0.31, 0.28, 0.34, "difference"), null=exact(0.0), figures=(drawn["bars"],))),
        entry("accuracy_under_shift", HOSTILE, Reading(
            estimate(0.02, -0.01, 0.05, "difference"), null=exact(0.0), per_example=hits)),
        entry("worst_group_error", "test", Skipped("split 'test' has no groups")),
        entry("distance_error", "", Reading(estimate(0.74, 0.71, 0.77), null=exact(0.5))),
        entry("input_jacobian", "test", Reading(
            estimate(0.52, 0.49, 0.55), null=estimate(1.4, 1.3, 1.5), figures=(drawn["histogram"],),
            notes=("Steepest at row 7 of test: 4.2.",))),
        entry("train_neighbor_distance", "test", Reading(
            proportion(1100, ROWS), null=exact(0.05),
            figures=(drawn["scatter"], drawn["gallery"]))),
        entry("contamination", "test", Reading(proportion(260, ROWS), null=proportion(20, ROWS))),
        entry("lookup_agreement", "test", Reading(mean(hits), null=exact(0.88), per_example=hits)),
        entry("example_forgetting", "", Skipped("the run has no history")),
        entry("effective_rank", "test", Reading(
            estimate(6.7, 6.3, 7.2, "replicates", 1000), null=exact(64.0))),
        entry("neural_collapse", "", Reading(
            replicates([0.41, 0.39, 0.44]), null=exact(12.0), figures=(drawn["matrix"],), )),
    )  # fmt: skip
    domain = Domain((1, 28, 28), torch.float32, 0.0, 1.0, "image")
    items = tuple(
        Planned(e.measure, e.question, e.split, measures()[e.measure].cost.label, 1.1, 2**22,
                e.outcome.reason if isinstance(e.outcome, Skipped) else "")
        for e in entries
    )  # fmt: skip
    return Report(
        entries=entries,
        plan=Plan(items, (Shared("forward pass on test", "test", 2.5, 2**26),)),
        provenance=Provenance(
            name=name,
            task="classification",
            created="2025-03-01T12:00:00+00:00",
            versions={"offmap": "0.1.0", "python": "3.11", "torch": "2.13"},
            seed=0,
            threads=2,
            engine="local",
            memory=2**32,
            peak_bytes=700 * 2**20,
            seconds=218.4,
            settings={"calibration_error": {"bins": 15}},
            fingerprints={"model": "a" * 32, "train": "b" * 32, "test": "c" * 32, "fog": "d" * 32},
            domain={"shape": (1, 28, 28), "dtype": "float32", "low": 0.0, "high": 1.0,
                    "kind": "image", "inferred": True},
            splits={"train": {"examples": 60_000}, "test": {"examples": ROWS},
                    "fog": {"examples": 2000}},
            model={"class": "SmallCNN", "parameters": 52_138, "feature_layer": "head"},
            class_names=("airplane", "bird", HOSTILE),
            reused=1,
            shared_seconds={"forward pass on test": 2.1},
        ),
        cards={name: unit.card for name, unit in measures().items()},
        thumbnails=thumbnails(splits(generator), entries, domain),
    )  # fmt: skip


def only(report, *entries):
    """The report with other entries."""
    return replace(report, entries=entries)


def with_outcome(report, measure, split, **changes):
    """The report with the reading of one entry changed."""
    entries = tuple(
        replace(e, outcome=replace(e.outcome, **changes))
        if (e.measure, e.split) == (measure, split)
        else e
        for e in report.entries
    )
    return replace(report, entries=entries)


@pytest.fixture(scope="session")
def report():
    """The report, made once; nothing changes it."""
    return make_report()


@pytest.fixture(scope="session")
def build():
    """The pieces above, for tests that make reports of their own."""
    return SimpleNamespace(
        HOSTILE=HOSTILE, ROWS=ROWS, estimate=estimate, entry=entry, figures=figures, splits=splits,
        report=make_report, with_outcome=with_outcome, only=only,
    )  # fmt: skip
