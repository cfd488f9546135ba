import pytest
import torch

from offmap.attempt import InputError
from offmap.numerics.span import outside, span_of
from offmap.score import Seen
from offmap.scores.reconstruction import reconstruction
from offmap.scores.unseen_directions import unseen_directions


@pytest.fixture
def train(generator):
    """Twelve pixels: four bright, five faint, and three that are always dark."""
    scale = torch.tensor([4.0] * 4 + [0.6] * 5 + [0.0] * 3)
    return scale * torch.randn(400, 12, generator=generator)


def twin(train, new, level):
    """Ridge regression of each pixel on all pixels, by its normal equations: what it leaves."""
    center = train.double().mean(dim=0)
    rows, new = train.double() - center, new.double() - center
    moment = rows.T @ rows / len(rows)
    ridge = level * moment.trace() / len(moment) * torch.eye(len(moment)).double()
    solved = torch.linalg.solve(moment + ridge, moment)
    lengths = [(each - each @ solved).norm(dim=1) for each in (new, rows)]
    return lengths[0] / lengths[1].square().mean().sqrt()


@pytest.mark.usefixtures("in_small_reads")
@pytest.mark.parametrize("level", [1e-4, 1e-3, 1.0])
def test_is_what_ridge_regression_leaves(labeled, fit, train, generator, level):
    new = torch.randn(50, 12, generator=generator)
    score = fit(unseen_directions, labeled(train, None), level=level)
    assert score(Seen(new)).tolist() == pytest.approx(twin(train, new, level).tolist(), rel=1e-6)


def test_directions_that_hardly_count_need_not_be_kept(labeled, fit, train):
    assert fit(unseen_directions, labeled(train, None)).axes.shape[1] == 9


def test_ranks_as_the_share_off_the_span_does(labeled, fit, train, generator):
    """For inputs that lie far off it, with little of what is seen."""
    off = torch.cat([torch.zeros(20, 9), torch.rand(20, 3, generator=generator)], dim=1)
    new = train[:20] + off
    share = outside(span_of([train]), new) * (new - train.mean(0)).square().sum(dim=1)
    values = fit(unseen_directions, labeled(train, None))(Seen(new)).square()
    assert float(torch.stack([share, values]).corrcoef()[0, 1]) > 0.9999


def test_sees_dead_pixels_where_a_reconstruction_does_not(labeled, fit, train, generator):
    """Their light is less than what components leave of any example."""
    lit = train[:200].clone()
    lit[:, 9:] += 0.05 * torch.randn(200, 3, generator=generator)
    unseen, residual = (
        fit(each, labeled(train, None)) for each in (unseen_directions, reconstruction)
    )
    usual = unseen(Seen(train))
    assert float((unseen(Seen(lit)) > usual.quantile(0.95)).double().mean()) > 0.9
    change = residual(Seen(lit)) - residual(Seen(train[:200]))
    assert float(change.abs().max()) < 0.1 * float(residual(Seen(train)).std())


def test_orders_the_seen_the_faint_and_the_dead(labeled, fit, train):
    score, mean = fit(unseen_directions, labeled(train, None)), train.mean(dim=0)
    steps = torch.zeros(3, 12)
    steps[0, 0] = steps[1, 5] = steps[2, 10] = 1.0
    bright, faint, dead = score(Seen(mean + steps)).tolist()
    assert 10 * bright < faint
    assert 10 * faint < dead


def test_does_not_see_a_rotation(labeled, fit, train, generator):
    turn = torch.linalg.qr(torch.randn(12, 12, generator=generator)).Q
    new = torch.randn(30, 12, generator=generator)
    one, other = (fit(unseen_directions, labeled(rows, None)) for rows in (train, train @ turn))
    assert torch.allclose(one(Seen(new)), other(Seen(new @ turn)), rtol=1e-4)


def test_wide_inputs_are_read_from_a_sample(labeled, fit, generator):
    """Directions off the sample count fully."""
    rows = torch.zeros(300, 400)
    rows[:, :5] = torch.randn(300, 5, generator=generator)
    new = rows[:20].clone()
    new[:, 100] = torch.linspace(1, 2, 20)
    small, large = (
        fit(unseen_directions, labeled(rows, None, memory=memory)) for memory in (4 * 10**6, 2**30)
    )
    assert torch.allclose(small(Seen(new)) * small.usual, large(Seen(new)) * large.usual, rtol=1e-4)


def test_data_on_a_line_leave_nothing(labeled, fit):
    rows = torch.arange(50.0)[:, None] * torch.tensor([1.0, 2.0])
    score = fit(unseen_directions, labeled(rows, None))
    assert float(score(Seen(rows + torch.tensor([5.0, 0.0]))).min()) > 50


def test_settings_out_of_range_and_copies_are_refused(labeled, fit, train):
    with pytest.raises(ValueError, match="expected level > 0, got 0"):
        fit(unseen_directions, labeled(train, None), level=0.0)
    with pytest.raises(InputError, match="expected training examples that differ"):
        fit(unseen_directions, labeled(torch.ones(9, 2), None))
