"""What bad input gets: one sentence that names the split, the row and the value."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from offmap.attempt import InputError
from offmap.run import Domain, History, Split, TrainingRun
from offmap.survey import Survey, check_domain, examine, infer_domain, survey
from offmap.table import Table


def net(outputs: int = 3) -> nn.Module:
    torch.nn.init.normal_(
        (layer := nn.Linear(4, outputs)).weight, generator=torch.Generator().manual_seed(0)
    )
    return nn.Sequential(layer)


def split(n: int = 12, **more) -> Split:
    inputs = torch.randn(n, 4, generator=torch.Generator().manual_seed(n))
    return Split(**{"inputs": inputs, "targets": torch.arange(n) % 3} | more)


def run(**more) -> TrainingRun:
    return TrainingRun(**{"model": net(), "train": split(), "test": split(9)} | more)


def refused(given: TrainingRun) -> str:
    with pytest.raises(InputError) as caught:
        examine(given)
    message = str(caught.value)
    assert "\n" not in message
    return message


def with_number(n: int, row: int, value: float, **more) -> Split:
    inputs = split(n).inputs.clone()
    inputs[row, 2] = value
    return split(n, inputs=inputs, **more)


def test_a_good_run_is_surveyed():
    given = run(shifts={"fog": split(7)})
    settled, seen = examine(given)
    assert set(seen) == {"train", "test", "fog"}
    inputs = given.train.inputs
    assert seen["train"].low == inputs.min().item()
    assert seen["train"].high == inputs.max().item()
    assert seen["train"].mean_square == pytest.approx(inputs.double().square().mean().item())
    assert settled.domain == Domain((4,), torch.float32, None, None, "vector", inferred=True)
    assert settled.model is given.model


# ---------------------------------------------------------------------------------------- the data


def test_one_example_is_too_few():
    message = refused(run(test=split(1)))
    assert message == "test: expected at least two examples, got 1"


def test_no_example_is_refused_where_the_run_is_made():
    with pytest.raises(InputError, match="test: expected at least one example, got none"):
        run(test=split(0))


def test_lengths_that_differ_are_refused_where_the_split_is_made():
    with pytest.raises(InputError, match="got 11 targets for 12 inputs"):
        split(12, targets=torch.arange(11), name="test")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_inputs_that_are_not_finite(value):
    message = refused(run(test=with_number(9, 7, value)))
    assert message.startswith(f"test: inputs: expected finite numbers, got {value} at row 7, el")
    assert message.endswith("element (2,)")


def test_the_row_counts_from_the_beginning_of_the_split(monkeypatch):
    """Not from the beginning of the chunk in which it was read."""
    monkeypatch.setattr("offmap.table.CHUNK_BYTES", 3 * 4 * 4)
    assert "at row 10, element (2,)" in refused(run(train=with_number(12, 10, torch.nan)))


def test_regression_targets_that_are_not_finite():
    targets = torch.zeros(9, 1)
    targets[5, 0] = torch.nan
    given = TrainingRun(net(1), test=split(9, targets=targets))
    assert refused(given) == (
        "test: targets: expected finite numbers, got nan at row 5, element (0,)"
    )


@pytest.mark.parametrize(("value", "row"), [(3, 4), (-1, 8)])
def test_targets_outside_the_models_classes(value, row):
    targets = torch.arange(9) % 3
    targets[row] = value
    assert refused(run(test=split(9, targets=targets))) == (
        f"test: expected targets from 0 to 2 (the model has 3 outputs), got {value} at row {row}"
    )


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_single_class(name):
    given = run(**{name: split(9, targets=torch.full((9,), 2))})
    assert refused(given) == f"{name}: expected at least two classes, got only class 2"


def test_a_shift_may_have_a_single_class():
    examine(run(shifts={"twos": split(9, targets=torch.full((9,), 2))}))


def test_targets_of_another_shape():
    message = refused(run(test=split(9, targets=torch.zeros(9, 1).long())))
    assert message == "test: expected one class an example, got targets of shape (9, 1)"


def test_class_targets_that_are_fractions():
    given = run(shifts={"fog": split(9, targets=torch.rand(9))})
    assert refused(given) == "fog: expected whole-number targets, got torch.float32"


def test_regression_targets_of_another_shape_than_the_outputs():
    message = refused(TrainingRun(net(1), test=split(9, targets=torch.zeros(9))))
    assert "expected outputs of the targets' shape (8,), got (8, 1)" in message


# -------------------------------------------------------------------------------------- the domain


def images(n=9, channels=3, size=8, scale=1.0) -> Split:
    pixels = torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(n))
    pixels.view(-1)[0], pixels.view(-1)[-1] = 0, 1  # the whole range
    return Split(scale * pixels, torch.arange(n) % 3)


def image_run(**more) -> TrainingRun:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    return TrainingRun(**{"model": model, "train": images(12), "test": images()} | more)


def test_inputs_of_another_shape():
    assert refused(run(test=split(9, inputs=torch.zeros(9, 5)))) == (
        "test: expected inputs of shape (4,), got (5,): reshape them"
    )


def test_channels_in_another_place():
    last = images().inputs.permute(0, 2, 3, 1)
    message = refused(image_run(test=Split(last, torch.arange(9) % 3)))
    assert message == (
        "test: expected inputs of shape (3, 8, 8), got (8, 8, 3): the channels stand in another "
        "place: permute them"
    )


def test_channels_in_another_place_than_the_stated_domain_everywhere():
    """Found before anything else is read: the reads would be in vain."""
    sick = Split(images(12).inputs * torch.nan, torch.arange(12) % 3)
    given = image_run(train=sick, domain=Domain((8, 8, 3), torch.float32, 0, 1, "image"))
    assert "train: expected inputs of shape (8, 8, 3), got (3, 8, 8)" in refused(given)


def test_bytes_where_shares_are_expected():
    message = refused(image_run(test=images(scale=255.0)))
    assert message == (
        "test: expected inputs in [0.0, 1.0] (as read off the data), got 255 (limit 1): "
        "divide by 255"
    )


def test_numbers_below_a_stated_range():
    given = image_run(domain=Domain((3, 8, 8), torch.float32, 0.5, 1.0, "image"))
    message = refused(given)
    assert "expected inputs in [0.5, 1.0] (as stated), got 0 (limit 0.5): rescale" in message


def test_rounding_beyond_the_range_is_forgiven():
    seen = Survey("", -1e-7, 1 + 1e-7, 0.3)
    check_domain(images(), seen, Domain((3, 8, 8), torch.float32, 0.0, 1.0))
    with pytest.raises(InputError, match="expected inputs in"):
        check_domain(images(), replace(seen, low=-1e-5), Domain((3, 8, 8), torch.float32, 0.0, 1.0))


def test_inputs_of_another_type():
    message = refused(run(test=split(9, inputs=split(9).inputs.double())))
    assert message == "test: expected inputs of type torch.float32, got torch.float64: convert them"


@pytest.mark.parametrize(
    ("inputs", "low", "high", "kind"),
    [
        (images().inputs, 0.0, 1.0, "image"),
        (2 * images().inputs - 1, -1.0, 1.0, "image"),
        (255 * images().inputs, 0.0, 255.0, "image"),
        (3 * images().inputs - 1, None, None, "image"),
        (images(channels=5).inputs, None, None, "vector"),
        (torch.tensor([[0.5], [0.2]]), None, None, "vector"),
        (torch.tensor([[3, 1], [0, 2]]), 0, None, "tokens"),
    ],
)
def test_the_domain_is_read_off_the_data(inputs, low, high, kind):
    given = Split(inputs)
    found = infer_domain(given, survey(given))
    assert found == Domain(tuple(inputs.shape[1:]), inputs.dtype, low, high, kind, inferred=True)


# --------------------------------------------------------------------------------------- the model


def test_weights_that_are_not_finite():
    model = net()
    with torch.no_grad():
        model[0].weight[1, :2] = torch.nan
    assert refused(run(model=model)) == (
        "expected finite weights, got 2 numbers in '0.weight' that are not"
    )


def test_statistics_that_are_not_finite():
    model = nn.Sequential(net(), nn.BatchNorm1d(3))
    model[1].running_var[0] = torch.inf
    assert "got 1 numbers in '1.running_var'" in refused(run(model=model))


class Model(nn.Module):
    """A linear model with something done to its input or output."""

    def __init__(self, change=lambda x: x, answer=lambda y: y) -> None:
        super().__init__()
        self.net, self.change, self.answer = net(), change, answer

    def forward(self, x):
        return self.answer(self.net(self.change(x)))


def test_outputs_that_are_not_finite_name_the_examples():
    bad = split(9).inputs[[2, 5]]
    near = lambda x: torch.cdist(x, bad).amin(dim=1) < 1e-6  # noqa: E731

    class Sick(Model):
        def forward(self, x):
            return self.net(x).masked_fill(near(x)[:, None], torch.nan)

    message = refused(run(model=Sick()))
    assert "test: the model's output is not finite on 2 of the examples 0 to 7" in message
    assert "the first at rows 2, 5" in message


def test_an_input_changed_in_place_is_refused_and_the_users_data_is_whole():
    given = run(model=Model(change=lambda x: x.mul_(2)))
    before = {name: s.inputs.clone() for name, s in given.splits.items()}
    message = refused(given)
    assert message.startswith("expected a model that leaves its input alone, got one that changes")
    assert all(torch.equal(s.inputs, before[name]) for name, s in given.splits.items())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda y: (y, y), "expected the model to return a tensor, got tuple"),
        (lambda y: {"logits": y}, "expected the model to return a tensor, got dict"),
        (lambda y: y.mean(), "expected one output for each of 8 examples"),
        (lambda y: y[:-1], "expected one output for each of 8 examples"),
        (lambda y: y[:, :1], "with at least two classes, got (8, 1)"),
        (lambda y: y[:, 0], "expected class scores of shape (8, classes)"),
    ],
)
def test_answers_that_are_none(answer, said):
    assert said in refused(run(model=Model(answer=answer)))


def test_a_model_of_other_inputs():
    message = refused(run(model=nn.Linear(7, 3)))
    assert message.startswith("train: expected a model that takes inputs of shape (n, 4)")
    assert "got RuntimeError" in message


def test_token_scores_and_reconstructions_of_another_shape():
    said = torch.arange(24).reshape(6, 4) % 5
    embed = nn.Embedding(5, 5)
    assert examine(TrainingRun(embed, test=Split(said, said)))[0].task == "tokens"
    message = refused(TrainingRun(Model(), test=Split(torch.randn(6, 4), said), task="tokens"))
    assert message == "expected scores of shape (6, 4, 'vocabulary'), got (6, 3)"
    message = refused(TrainingRun(net(), test=Split(torch.randn(6, 4))))
    assert message == "expected outputs of the inputs' shape (6, 4), got (6, 3)"


def test_a_model_in_training_mode_is_put_back():
    """Examined as it will be used, dropout and batch norm at rest; left as it was given."""
    model = nn.Sequential(net(), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model.train()
    model[2].eval()
    statistics = model[1].running_mean.clone()
    examine(run(model=model))
    assert [module.training for module in model] == [True, True, False]
    assert torch.equal(model[1].running_mean, statistics)


def test_a_feature_layer_that_is_none():
    assert "expected a layer of the model, got 'head'" in refused(run(feature_layer="head"))


# --------------------------------------------------------------------------------------- the rest


class Augmented(Table):
    """Another picture each time that a row is read."""

    shape, dtype = (4,), torch.float32

    def __len__(self):
        return 12

    def take(self, rows):
        return torch.rand(len(rows), 4)


def test_random_augmentation():
    message = refused(run(train=Split(Augmented(), torch.arange(12) % 3)))
    assert message == (
        "train: expected the same example each time row 0 is read, got different ones: "
        "turn off random augmentation"
    )


def test_a_first_row_of_nan_is_not_taken_for_augmentation():
    assert "got nan at row 0" in refused(run(train=with_number(12, 0, torch.nan)))


def test_a_history_of_other_examples():
    history = History(torch.zeros(3, 11, dtype=torch.bool))
    assert refused(run(history=history)) == (
        "history: expected a column for each of 12 training examples, got 11"
    )


# ----------------------------------------------------------------------------------- fingerprints


def test_a_fingerprint_is_of_content_not_of_chunks(monkeypatch):
    whole = survey(split()).fingerprint
    monkeypatch.setattr("offmap.table.CHUNK_BYTES", 40)
    assert survey(split()).fingerprint == whole


@pytest.mark.parametrize(
    "other",
    [
        split(inputs=split().inputs + torch.eye(12, 4)),
        split(inputs=split().inputs.flip(0)),
        split(inputs=split().inputs.reshape(12, 2, 2)),
        split(inputs=split().inputs.double()),
        split(targets=(torch.arange(12) + 1) % 3),
        split(targets=None),
        split(targets=None, groups=torch.arange(12) % 3),
        split(targets=(torch.arange(12) % 3)[:, None]),
        split(groups=torch.arange(12) % 2),
        split().take(torch.arange(11)),
    ],
)
def test_whatever_differs_has_another_fingerprint(other):
    assert survey(other).fingerprint != survey(split()).fingerprint


def test_the_same_content_elsewhere_has_the_same_fingerprint():
    assert survey(split().take(torch.arange(12))).fingerprint == survey(split()).fingerprint
    assert survey(split().renamed("other")).fingerprint == survey(split()).fingerprint


def test_train_without_targets_is_refused() -> None:
    inputs, labels = torch.rand(20, 4), torch.arange(20) % 2
    run = TrainingRun(nn.Linear(4, 2), Split(inputs), Split(inputs, labels))
    assert run.task == "classification"
    with pytest.raises(InputError, match="train: expected targets in a classification run"):
        examine(run)
