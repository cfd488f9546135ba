import itertools
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors
from torch.utils._python_dispatch import TorchDispatchMode

from offmap.numerics import neighbors
from offmap.numerics.neighbors import Blocks, search

SMALL = 2**16  # bytes: the least memory, so that tiles are 16 x 16 and everything is cut


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def twin(queries, bank, k, exclude=None):
    """The slow obvious way: float64 differences, row by row; ties by index."""
    queries = queries.reshape(len(queries), -1).double().numpy()
    bank = bank.reshape(len(bank), -1).double().numpy()
    distance, index = [], []
    for number, query in enumerate(queries):
        row = np.sqrt(((bank - query) ** 2).sum(1))
        order = np.argsort(row, kind="stable")
        if exclude is not None:
            order = order[order != int(exclude[number])]
        distance.append(row[order[:k]])
        index.append(order[:k])
    return torch.from_numpy(np.array(distance)), torch.from_numpy(np.array(index))


def agrees(found, queries, bank, k, exclude=None):
    """Equal up to float64 rounding, which may swap rows at distances that differ by as little."""
    distance, index = twin(queries, bank, k, exclude)
    torch.testing.assert_close(found.distance, distance, rtol=1e-13, atol=0)
    swapped = found.index != index
    assert found.index.dtype == torch.int64
    if swapped.any():  # the rows reported lie where they are said to lie, once each
        assert all(len(set(row)) == k for row in found.index.tolist())
        rows = bank.reshape(len(bank), -1).double()[found.index]
        true = (rows - queries.reshape(len(queries), 1, -1).double()).square().sum(2).sqrt()
        torch.testing.assert_close(true, distance, rtol=1e-13, atol=0)
    assert (found.distance.diff() >= 0).all()
    return int(swapped.sum())


class Counted:
    """Rows behind `read`; remembers what was asked for."""

    def __init__(self, rows):
        self.rows, self.asked = rows, []

    def __len__(self):
        return len(self.rows)

    def read(self, start, stop):
        self.asked.append((start, stop))
        return self.rows[start:stop].clone()


class Peak(TorchDispatchMode):
    """Bytes of the tensors made inside that are alive at once, at most."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        old = {t.untyped_storage()._cdata for t in args if isinstance(t, torch.Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in old | self.seen:
                    self.watch(storage)
        return result

    def watch(self, storage):
        size, key = storage.nbytes(), storage._cdata
        self.seen.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self.forget, size, key)

    def forget(self, size, key):
        self.now -= size
        self.seen.discard(key)


DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int64)


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(0, 40),
    n=st.integers(1, 60),
    d=st.integers(1, 9),
    high=st.integers(0, 4),
    dtypes=st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES)),
    memory=st.sampled_from([SMALL, 2**20, 2**29]),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_ties_and_duplicates_of_every_type(m, n, d, high, dtypes, memory, seed, data):
    generator = torch.Generator().manual_seed(seed)
    queries = torch.randint(0, high + 1, (m, d), generator=generator).to(dtypes[0])
    bank = torch.randint(0, high + 1, (n, d), generator=generator).to(dtypes[1])
    exclude = None
    if n > 1 and data.draw(st.booleans()):
        exclude = torch.randint(0, n, (m,), generator=generator)
    k = data.draw(st.integers(1, n - (exclude is not None)))
    found = search(queries, bank, k=k, exclude=exclude, memory=memory)
    assert found.distance.shape == found.index.shape == (m, k)
    if m:  # sums of small integers are exact: nothing may differ
        distance, index = twin(queries, bank, k, exclude)
        torch.testing.assert_close(found.distance, distance, rtol=1e-15, atol=0)
        assert torch.equal(found.index, index)


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(1, 40),
    n=st.integers(1, 200),
    d=st.integers(1, 70),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e25]),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_real_values_of_every_size(m, n, d, dtype, scale, offset, seed, data):
    if dtype == torch.float16:
        scale = max(scale, 1e-3) if scale < 1 else 1.0
    generator = torch.Generator().manual_seed(seed)
    rows = ((torch.randn(m + n, d, generator=generator).double() + offset) * scale).to(dtype)
    k = data.draw(st.integers(1, n))
    agrees(search(rows[:m], rows[m:], k=k), rows[:m], rows[m:], k)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("m", "n", "d", "k"), [(50, 4000, 3, 5), (300, 5000, 20, 10), (40, 700, 300, 200)]
)
def test_agrees_with_the_twin(m, n, d, k, dtype):
    queries, bank = draw(m, d, dtype=dtype), draw(n, d, seed=1, dtype=dtype)
    assert agrees(search(queries, bank, k=k), queries, bank, k) == 0


def test_agrees_with_scikit_learn():
    queries, bank = (
        draw(60, 5, 4, dtype=torch.float64),
        draw(500, 5, 4, seed=1, dtype=torch.float64),
    )
    model = NearestNeighbors(n_neighbors=7, algorithm="kd_tree").fit(bank.flatten(1).numpy())
    distance, index = model.kneighbors(queries.flatten(1).numpy())
    found = search(queries, bank, k=7)
    assert torch.equal(found.index, torch.from_numpy(index))
    torch.testing.assert_close(found.distance, torch.from_numpy(distance))


def clusters():
    """Two tight clusters far apart: centering helps neither, and float32 scores know nothing."""
    bank = draw(300, 40, seed=1) * 1e-2
    bank[::2] += 1000
    return bank[::10] + draw(30, 40) * 1e-3, bank


def near_ties():
    """Rows on a sphere about the query, at distances that differ in the ninth digit."""
    direction = torch.nn.functional.normalize(draw(500, 30, dtype=torch.float64))
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    radius = 1 + 1e-9 * order.double()
    return torch.zeros(1, 30), direction * radius[:, None] * 64


def shell():
    """A few rows near the query, and then many that float32 scores cannot tell apart."""
    far = near_ties()[1].float()
    return torch.zeros(2, 30), torch.cat((far[:250], draw(5, 30, seed=2), far[250:]))


def copies():
    """Three different rows 200 times each."""
    return draw(12, 33), draw(3, 33, seed=1).repeat(200, 1)


def one_hot():
    """Codes that all have the same norm, and most of which tie."""
    codes = torch.randint(0, 30, (700,), generator=torch.Generator().manual_seed(0))
    rows = torch.nn.functional.one_hot(codes).float()
    return rows[:12], rows


def constant():
    return torch.full((20, 17), 3.3), torch.full((500, 17), 3.3)


def outlier():
    """One row that makes the error bound of its tile useless."""
    bank = draw(600, 12, seed=1)
    bank[77] = 1e18
    bank[78] = -3e38
    return draw(20, 12), bank


def sorted_rows():
    """Neighbors lie side by side in the bank, so whole groups of scores are candidates."""
    bank = draw(900, 8, seed=1).cumsum(0) * 0.01
    return bank[::100] + 1e-4, bank


def long_rows():
    """Rows so long that PyTorch would sum one by itself in another order than several."""
    return draw(3, 70_000), draw(9, 70_000, seed=1)


WORLDS = (clusters, near_ties, shell, copies, one_hot, constant, outlier, sorted_rows)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("streamed", [False, True])
def test_hard_worlds(world, streamed):
    queries, bank = world()
    for k, memory in ((1, 2**20), (10, SMALL), (10, 2**29)):
        source = Counted(bank) if streamed else bank
        found = search(queries, source, k=k, memory=memory)
        assert agrees(found, queries, bank, k) == 0


def test_float32_scores_misorder_the_hard_worlds():
    """So the tests above would catch a search that trusted them."""
    queries, bank = clusters()
    centered = bank - bank.mean(0)
    scores = centered.square().sum(1) - 2 * (queries - bank.mean(0)) @ centered.T
    assert (scores.topk(10, largest=False).indices != twin(queries, bank, 10)[1]).any(1).all()


@pytest.mark.parametrize(
    ("dtype", "offset", "scale"),
    [
        (torch.float32, 1e4, 1),
        (torch.float64, 1e8, 1),
        (torch.int32, 1e9, 50),
        (torch.int64, 1e12, 9),
    ],
)
def test_far_from_the_origin(dtype, offset, scale):
    """Where the expansion of the square fails in the type of the data, or in float32."""
    rows = ((draw(450, 30) * scale).double() + offset).to(dtype)
    queries, bank = rows[:50], rows[50:]
    naive = bank.float().square().sum(1) - 2 * queries.float() @ bank.float().T
    assert (naive.topk(10, largest=False).indices != twin(queries, bank, 10)[1]).any(1).all()
    assert agrees(search(queries, bank), queries, bank, 10) == 0


@pytest.mark.parametrize("world", [*WORLDS, long_rows])
def test_the_result_does_not_depend_on_memory(world):
    queries, bank = world()
    least = max(SMALL, 512 * queries.shape[1])
    first, *others = (
        search(queries, source, k=9, memory=memory)
        for memory, source in itertools.product((2**29, least, 5 * least), (bank, Counted(bank)))
    )
    for other in others:
        assert torch.equal(first.distance, other.distance)
        assert torch.equal(first.index, other.index)


def test_more_queries_than_one_panel_holds():
    queries, bank = draw(100, 6), draw(200, 6, seed=1)
    source = Counted(bank)
    found = search(queries, source, k=3, memory=SMALL)
    assert agrees(found, queries, bank, 3) == 0
    assert sum(start == 0 and stop > 1 for start, stop in source.asked) > 1


def test_a_duplicate_is_at_zero():
    bank = draw(300, 100) * 1e3 + 1e4
    found = search(bank[40:60], bank, k=2)
    assert torch.equal(found.index[:, 0], torch.arange(40, 60))
    assert (found.distance[:, 0] == 0).all()
    assert (found.distance[:, 1] > 0).all()


def test_leave_one_out():
    bank = draw(500, 7)
    bank[100] = bank[200]
    rows = torch.arange(500)
    found = search(bank, bank, k=4, exclude=rows)
    assert (found.index != rows[:, None]).all()
    assert found.index[100, 0] == 200
    assert found.distance[100, 0] == 0
    assert agrees(found, bank, bank, 4, rows) == 0
    everything = search(bank[:5], bank[:5], k=4, exclude=rows[:5])
    assert [sorted(row) for row in everything.index.tolist()] == [
        [other for other in range(5) if other != row] for row in range(5)
    ]


def test_copies_beyond_the_k_th_are_found_when_one_is_excluded():
    bank = torch.ones(300, 5)
    found = search(bank[:3], bank, k=4, exclude=torch.tensor([0, 2, -1]))
    assert found.index.tolist() == [[1, 2, 3, 4], [0, 1, 3, 4], [0, 1, 2, 3]]


def test_rows_that_are_not_contiguous():
    queries, bank = draw(30, 4, 5).transpose(1, 2), draw(200, 4, 5, seed=1).transpose(1, 2)
    assert agrees(search(queries, bank, k=6, memory=SMALL), queries, bank, 6) == 0
    assert agrees(search(queries[::2], bank[::3], k=6), queries[::2], bank[::3], 6) == 0


def test_scalars_are_rows_of_one_value():
    queries, bank = draw(20), draw(90, seed=1)
    assert agrees(search(queries, bank, k=3), queries, bank, 3) == 0


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("d", "dtype"),
    [(1, torch.float32), (40, torch.uint8), (40, torch.float64), (3000, torch.float32)],
)
def test_memory_is_kept(d, dtype, ties):
    n, m = (600, 150) if d == 1 else (300, 80)
    bank, queries = draw(n, d, seed=1) * 30 + 100, draw(m, d) * 30 + 100
    if ties and d > 1:  # every row ties with every other, and few are copies
        bank = 100 + 10 * torch.eye(d).repeat(-(-400 // d), 1)[:400]
        queries = torch.full((20 if d < 100 else 3, d), 100.0)
    bank, queries = bank.to(dtype), queries.to(dtype)
    least = max(SMALL, 512 * d)
    source, memory = Counted(bank), 3 * least
    with Peak() as peak:
        found = search(queries, source, k=5, memory=memory)
    assert peak.most <= memory + found.distance.nbytes + found.index.nbytes
    assert peak.most > memory / 20
    assert max(stop - start for start, stop in source.asked) * bank[0].nbytes <= memory / 8
    agrees(found, queries, bank, 5)


@pytest.mark.parametrize("world", [copies, one_hot, constant, sorted_rows])
def test_few_rows_are_ranked(world, monkeypatch):
    """However the rows lie, and however often they are repeated."""
    ranked = []

    def counted(panel, query, block, row):
        ranked.append(len(query))
        return exact(panel, query, block, row)

    exact = neighbors._exact
    monkeypatch.setattr(neighbors, "_exact", counted)
    queries, bank = world()
    search(queries, bank, k=5)
    assert sum(ranked) <= 60 * len(queries)


def test_blocks_are_read_once_and_in_order():
    bank = draw(1000, 20)
    source = Counted(bank)
    assert isinstance(source, Blocks)
    search(draw(37, 20), source, k=3, memory=2**18)
    assert source.asked[0] == (0, 1)
    assert [row for part in source.asked[1:] for row in range(*part)] == list(range(1000))


def test_reduced_precision_is_not_trusted(monkeypatch):
    queries, bank = draw(64, 200), draw(2000, 200, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert agrees(search(queries, bank), queries, bank, 10) == 0

    def scored(kind="cpu"):
        return neighbors._scored((torch.float32, torch.float32), torch.device(kind))

    assert scored() == scored("cuda") == torch.float32
    # Whether these change a product depends on the processor, so what is asserted is the caution.
    for place, kind in ((torch.backends.mkldnn, "conv"), (torch.backends.cuda, "matmul")):
        if hasattr(getattr(place, kind), "fp32_precision"):
            before = getattr(place, kind).fp32_precision
            getattr(place, kind).fp32_precision = "tf32"
            try:
                assert scored("cpu" if kind == "conv" else "cuda") == torch.float64
                assert scored("cuda" if kind == "conv" else "cpu") == torch.float32
            finally:
                getattr(place, kind).fp32_precision = before
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "ANY")
    assert scored() == torch.float64
    assert agrees(search(queries, bank), queries, bank, 10) == 0


def test_float32_may_be_computed_by_one_thread():
    queries, bank = draw(100, 50), draw(900, 50, seed=1)
    found = search(queries, bank)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = search(queries, bank)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found.distance, alone.distance)
    assert torch.equal(found.index, alone.index)


def test_nothing_is_left_behind():
    queries, bank = draw(20, 5).requires_grad_(), draw(50, 5, seed=1)
    copies = queries.detach().clone(), bank.clone()
    state = torch.get_rng_state()
    found = search(queries, bank, k=2)
    assert not found.distance.requires_grad
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(queries.detach(), copies[0])
    assert torch.equal(bank, copies[1])


def test_no_queries():
    found = search(torch.empty(0, 3, 2), torch.ones(5, 3, 2), k=5)
    assert found.distance.shape == found.index.shape == (0, 5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_values_that_are_not_finite(value, dtype):
    queries, bank = draw(40, 6, dtype=dtype), draw(900, 6, seed=1, dtype=dtype)
    for row in (0, 700):
        wrong = bank.clone()
        wrong[row:, 3] = value
        with pytest.raises(ValueError, match=rf"finite.* got {value} in row {row} of the bank"):
            search(queries, Counted(wrong), memory=SMALL)
        with pytest.raises(ValueError, match=rf"finite.* got {value} in row {row} of the bank"):
            search(queries, wrong)
    queries[31, 5] = value
    with pytest.raises(ValueError, match=rf"got {value} in row 31 of the queries"):
        search(queries, bank)


def test_squares_beyond_float64():
    with pytest.raises(ValueError, match=r"got 1e\+160 in row 4 of the bank"):
        search(
            torch.zeros(1, 1).double(),
            torch.tensor([[0.0], [1], [2], [3], [1e160]], dtype=torch.float64),
            k=1,
        )


class Wrong(Counted):
    def read(self, start, stop):
        return super().read(start, stop)[: stop - start - (stop == len(self))]


def test_refusals():
    queries, bank = draw(4, 3), draw(20, 3)
    with pytest.raises(ValueError, match=r"expected k <= 20 and k >= 1, got 21; lower k"):
        search(queries, bank, k=21)
    with pytest.raises(ValueError, match=r"expected k <= 19 .* got 20"):
        search(queries, bank, k=20, exclude=torch.tensor([1, -1, -1, -1]))
    with pytest.raises(ValueError, match=r"got 0"):
        search(queries, bank, k=0)
    with pytest.raises(ValueError, match=r"expected k <= 0 .* got 1"):
        search(queries, bank[:0], k=1)
    with pytest.raises(ValueError, match=r"rows to exclude, from -1 to 19, got \[20\]"):
        search(queries, bank, k=1, exclude=torch.tensor([0, 20, 3, 21]))
    with pytest.raises(ValueError, match=r"got \[-2\]"):
        search(queries, bank, k=1, exclude=torch.tensor([0, 1, -2, 3]))
    with pytest.raises(ValueError, match=r"of one size, got 3 and 2"):
        search(queries, bank[:, :2])
    with pytest.raises(ValueError, match=r"of one size, got 0 and 0"):
        search(queries[:, :0], bank[:, :0])
    with pytest.raises(ValueError, match=r"real values"):
        search(queries, bank.to(torch.complex64))
    with pytest.raises(ValueError, match=r"\(20, 3, torch.float32\) from the bank, got \(19, 3"):
        search(queries, Wrong(bank))


def test_the_memory_needed_is_said():
    queries, bank = draw(4, 1000), draw(20, 1000)
    with pytest.raises(ValueError, match=r"expected memory >= 512000 for k=3, d=1000, got 511999"):
        search(queries, bank, k=3, memory=511999)
    assert agrees(search(queries, bank, k=3, memory=512000), queries, bank, 3) == 0


@pytest.mark.data
def test_mnist(data_folder):
    with np.load(data_folder / "mnist.npz") as data:
        images = torch.from_numpy(data["x_train"][:3000])
    rows = images.float() / 255
    found = search(rows[:20], rows, k=10)
    assert agrees(found, rows[:20], rows, 10) == 0
    assert agrees(search(images[:20], images, k=10), images[:20], images, 10) == 0
