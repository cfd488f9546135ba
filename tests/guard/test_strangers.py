import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.guard.coverage import coverage_matrix, refused
from offmap.guard.strangers import FAMILIES, families
from offmap.guard.verdict import Verdict
from offmap.run import Domain, Split
from offmap.table import Table, TensorTable

IMAGE = Domain((3, 8, 12), torch.float32, 0.0, 1.0, "image")
VECTOR = Domain((5,), torch.float32, kind="vector")
ROWS = 300  # more than one block


def _images(generator: torch.Generator, rows: int = ROWS) -> Split:
    """Class 0 dark, class 1 in the middle, class 2 bright: who is of which class shows."""
    targets = torch.randint(3, (rows,), generator=generator)
    inputs = (targets[:, None, None, None] + torch.rand(rows, 3, 8, 12, generator=generator)) / 3
    return Split(inputs, targets, name="test")


def _vectors(generator: torch.Generator, rows: int = ROWS) -> Split:
    scales = torch.tensor([1.0, 10.0, 100.0, 0.1, 5.0])
    shared = torch.randn(rows, 1, generator=generator)
    return Split(scales * (shared + 0.1 * torch.randn(rows, 5, generator=generator)) + scales)


def _made(name: str, split: Split, domain: Domain, seed: int = 0) -> Tensor:
    return FAMILIES[name](split, domain, torch.Generator().manual_seed(seed)).inputs


def _classes(images: Tensor) -> Tensor:
    """The class of each pixel, of those in `_images`."""
    return (images * 3).floor()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_keeps_the_contract_and_depends_on_the_seed_alone(name, generator):
    split = _images(generator)
    before = split.inputs.clone()
    strangers = FAMILIES[name](split, IMAGE, torch.Generator().manual_seed(1))
    inputs = strangers.inputs
    assert inputs.shape == split.inputs.shape and inputs.dtype is torch.float32
    assert inputs.isfinite().all() and inputs.min() >= 0 and inputs.max() <= 1
    assert strangers.known_targets is None and strangers.name == name
    assert torch.equal(inputs, _made(name, split, IMAGE, seed=1))
    assert torch.equal(split.inputs, before)
    assert not torch.equal(inputs, before)
    rows = torch.tensor([299, 0, 255, 256, 0])
    assert torch.equal(strangers.take(rows).inputs, inputs[rows])
    pieces = [batch.inputs for batch in strangers.batches(77)]
    assert torch.equal(torch.cat(pieces), inputs)
    state = torch.get_rng_state()
    _made(name, split, IMAGE, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", list(families(VECTOR)))
def test_vectors(name, generator):
    split = _vectors(generator)
    inputs = _made(name, split, VECTOR)
    assert inputs.shape == (ROWS, 5) and inputs.isfinite().all()
    if name != "inverted" and not name.startswith("noisy") and name != "gaussian":
        low, high = split.inputs.amin(dim=0), split.inputs.amax(dim=0)
        slack = 1e-4 * (high - low)
        assert (inputs >= low - slack).all() and (inputs <= high + slack).all()


def test_which_families_there_are():
    assert {family.kind for family in FAMILIES.values()} == {"near", "far"}
    assert set(families(IMAGE)) == set(FAMILIES)
    assert "turned" not in families(VECTOR) and "mixed" in families(VECTOR)
    assert families(Domain((9,), torch.int64, kind="tokens")) == {}


def test_noise_has_the_law_it_names(generator):
    split = _images(generator)
    uniform = _made("uniform", split, IMAGE).flatten().double()
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-4
    coins = _made("bernoulli", split, IMAGE)
    assert set(coins.unique().tolist()) == {0.0, 1.0}
    assert abs(coins.mean() - 0.5) < 4 * 0.5 / coins.numel() ** 0.5
    flat = _made("constant", split, IMAGE)
    assert (flat == flat[:, :1, :1, :1]).all() and flat[:, 0, 0, 0].unique().numel() > 0.9 * ROWS
    vectors = _vectors(generator, 5000)
    normal = _made("gaussian", vectors, VECTOR)
    mean, scale = vectors.inputs[:2000].mean(dim=0), vectors.inputs[:2000].std(dim=0)
    assert (((normal.mean(dim=0) - mean) / scale).abs() < 4 / 5000**0.5).all()
    assert ((normal.std(dim=0) / scale - 1).abs() < 4 / (2 * 5000) ** 0.5).all()
    assert (normal.T.corrcoef() - torch.eye(5)).abs().max() < 5 / 5000**0.5


def test_marginals_stay_and_dependence_goes(generator):
    vectors = _vectors(generator, 5000)
    made = _made("marginals", vectors, VECTOR)
    assert vectors.inputs.T.corrcoef().min() > 0.9
    assert (made.T.corrcoef() - torch.eye(5)).abs().max() < 5 / 5000**0.5
    for column in range(5):
        assert torch.isin(made[:, column], vectors.inputs[:, column]).all()


def test_permutations_keep_the_pixels(generator):
    split = _images(generator)
    columns = split.inputs.flatten(2)
    orders = []
    for name in ("permuted", "shuffled"):
        made = _made(name, split, IMAGE).flatten(2)
        assert torch.equal(made.sort(dim=-1).values, columns.sort(dim=-1).values)
        # where each pixel of the first channel went; the others go with it
        order = (made[:, 0, :, None] == columns[:, 0, None, :]).double().argmax(dim=-1)
        assert torch.equal(columns.gather(2, order[:, None].expand(-1, 3, -1)), made)
        orders.append(order)
    assert (orders[0] == orders[0][0]).all()  # also across blocks
    assert not (orders[1] == orders[1][0]).all(dim=1)[1:].any()


def test_made_of_two_examples_of_different_classes(generator):
    split = _images(generator)
    own = split.targets[:, None, None].float()
    spliced = _classes(_made("spliced", split, IMAGE))
    assert (spliced[:, 0, :4] == own).all() and (spliced[:, 0, 4:] != own).all()
    patched = _made("patched", split, IMAGE)
    mine = patched == split.inputs
    cells = mine[:, 0].unflatten(1, (4, 2)).unflatten(3, (4, 3)).permute(0, 1, 3, 2, 4).flatten(3)
    assert (cells.all(dim=-1) | ~cells.any(dim=-1)).all()
    assert abs(cells.double().mean() - 0.5) < 4 * 0.5 / (16 * ROWS) ** 0.5
    mixed = _made("mixed", split, IMAGE)
    other = 2 * mixed - split.inputs
    nearest = (other.flatten(1)[:, None] - split.inputs.flatten(1)[None]).abs().amax(-1).min(1)
    assert nearest.values.max() < 1e-5
    assert (split.targets[nearest.indices] != split.targets).all()


def test_partners_are_drawn_from_all_other_classes_alike(generator):
    """Of class 0 there are 100 rows, of 1 and 2 300 and 100: partners of 0 are 3 to 1."""
    targets = torch.tensor([0] * 100 + [1] * 300 + [2] * 100)[
        torch.randperm(500, generator=generator)
    ]
    split = Split(torch.arange(500.0)[:, None].expand(-1, 5).contiguous(), targets)
    counts = torch.zeros(3, 3)
    for seed in range(40):
        partner = (2 * _made("mixed", split, VECTOR, seed) - split.inputs)[:, 0].round().long()
        counts += (
            torch.zeros(9).index_add_(0, 3 * targets + targets[partner], torch.ones(500)).view(3, 3)
        )
    assert counts.diagonal().sum() == 0
    assert counts[0, 1] / 4000 == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 4000) ** 0.5)
    assert counts[1, 0] / 12000 == pytest.approx(0.5, abs=4 * 0.5 / 12000**0.5)


@pytest.mark.parametrize("targets", [None, torch.zeros(ROWS, dtype=torch.long)])
def test_without_classes_the_partner_is_another_example(targets, generator):
    split = Split(_vectors(generator).inputs, targets)
    other = 2 * _made("mixed", split, VECTOR) - split.inputs
    assert ((other - split.inputs).abs().amax(dim=1) > 0).all()


def test_arrangements(generator):
    split = _images(generator)
    assert torch.allclose(_made("inverted", split, IMAGE), 1 - split.inputs)
    turned = _made("turned", split, IMAGE)
    assert torch.equal(turned[..., 2:10].rot90(-1, dims=(2, 3)), split.inputs[..., 2:10])
    assert torch.equal(turned[..., :2], split.inputs[..., :2])
    quadrants = _made("quadrants", split, IMAGE)
    assert torch.equal(quadrants[..., :4, 6:], split.inputs[..., :4, :6])
    assert torch.equal(quadrants[..., 4:, 6:], split.inputs[..., :4, 6:])
    assert torch.equal(quadrants[..., 4:, :6], split.inputs[..., 4:, 6:])
    assert torch.equal(quadrants[..., :4, :6], split.inputs[..., 4:, :6])
    odd = Split(torch.rand(4, 1, 7, 9, generator=generator))
    domain = Domain((1, 7, 9), torch.float32, 0.0, 1.0, "image")
    moved = _made("quadrants", odd, domain)
    assert torch.equal(moved.flatten(1).sort().values, odd.inputs.flatten(1).sort().values)


@pytest.mark.parametrize("name", ["noisy", "blurred", "faded"])
def test_corruptions_grow_with_severity(name, generator):
    split = _images(generator)
    wide = Domain(IMAGE.shape, torch.float32, kind="image")
    off = [
        (_made(f"{name} {level}", split, wide) - split.inputs).square().mean().item()
        for level in (1, 2, 3)
    ]
    assert 0 < off[0] < off[1] < off[2]
    assert [FAMILIES[f"{name} {level}"].strange for level in (1, 2, 3)] == [False, False, True]
    if name == "noisy":  # half the standard deviation, then once: 4 times the square
        assert off[2] / off[1] == pytest.approx(4, rel=0.05)
    else:
        assert torch.allclose(
            _made(f"{name} 3", split, wide).mean(), split.inputs.mean(), atol=0.01
        )


def test_whole_numbers_stay_whole(generator):
    pixels = torch.randint(256, (40, 1, 8, 8), generator=generator, dtype=torch.uint8)
    domain = Domain((1, 8, 8), torch.uint8, 0, 255, "image")
    for family in families(domain).values():
        made = family(Split(pixels), domain, torch.Generator().manual_seed(0)).inputs
        assert made.dtype is torch.uint8 and made.shape == pixels.shape


class Counted(Table):
    """A table that knows how many rows were asked for at once."""

    def __init__(self, values: Tensor) -> None:
        self.inner, self.most = TensorTable(values), 0
        self.shape, self.dtype = self.inner.shape, self.inner.dtype

    def __len__(self) -> int:
        return len(self.inner)

    def take(self, rows: Tensor) -> Tensor:
        self.most = max(self.most, len(rows))
        return self.inner.take(rows)


def test_reads_a_block_at_a_time(generator):
    table = Counted(torch.rand(5000, 3, 8, 12, generator=generator))
    strangers = FAMILIES["mixed"](Split(table), IMAGE, generator)
    table.most = 0
    for batch in strangers.batches(256):
        assert len(batch) <= 256
    assert table.most == 256


def test_refusals(generator):
    tokens = Domain((9,), torch.int64, kind="tokens")
    with pytest.raises(InputError, match=r"expected images or vectors to make mixed .*got tokens"):
        FAMILIES["mixed"](Split(torch.zeros(4, 9, dtype=torch.int64)), tokens, generator)
    with pytest.raises(InputError, match=r"expected images to make turned .*, got vector"):
        FAMILIES["turned"](_vectors(generator), VECTOR, generator)
    with pytest.raises(InputError, match="expected at least 2 examples, got 1"):
        FAMILIES["mixed"](_images(generator, 1), IMAGE, generator)


class Bright(nn.Module):
    """A guard that refuses every input that is brighter than 0.55 on average."""

    def forward(self, inputs: Tensor) -> Verdict:
        score = inputs.flatten(1).double().mean(dim=1)
        accepted = score <= 0.55
        n = len(inputs)
        reason = torch.where(accepted, 0, 2).to(torch.int8)
        return Verdict(torch.zeros(n, dtype=torch.long), score, accepted, reason, score)


def test_coverage_matrix_counts_what_is_refused(generator):
    split = _images(generator)
    dark = Split(torch.zeros(50, 3, 8, 12))
    found = coverage_matrix(Bright(), split, IMAGE, generator, others={"dark": dark})
    assert list(found) == [*FAMILIES, "dark"]
    assert found["dark"].refused.value == 0 and found["dark"].refused.high < 0.08
    assert found["permuted"].refused == refused(Bright(), split)  # the same pixels
    share = (split.targets == 2).double().mean().item()
    assert found["permuted"].refused.value == pytest.approx(share, abs=1e-12)
    assert found["inverted"].refused.value == pytest.approx(
        (split.targets == 0).double().mean().item(), abs=1e-12
    )
    assert found["uniform"].distance == "far" and found["mixed"].distance == "near"
    assert found["uniform"].refused.low <= found["constant"].refused.value
    assert not found["noisy 1"].strange and found["noisy 3"].strange


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_interval_of_a_coverage_covers(level, generator):
    """Of fresh strangers that are constant images, 1 - level are brighter than the level."""

    class Above(Bright):
        def forward(self, inputs: Tensor) -> Verdict:
            return super().forward(inputs - level + 0.55)

    split = _images(generator, 60)
    covered = 0
    for _ in range(200):
        strangers = FAMILIES["constant"](split, IMAGE, generator)
        found = refused(Above(), strangers)
        covered += found.low <= 1 - level <= found.high
    assert 180 <= covered <= 200
