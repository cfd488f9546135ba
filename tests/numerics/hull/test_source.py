"""Points that are read in blocks: single rows are asked for where they can be."""

import torch

from offmap.numerics.hull import membership


class Bank:
    """Rows that are read in blocks, and how often."""

    def __init__(self, rows):
        self.rows, self.reads = rows, []

    def __len__(self):
        return len(self.rows)

    def read(self, start, stop):
        self.reads.append(stop - start)
        return self.rows[start:stop].clone()


class Table(Bank):
    """The same, with single rows."""

    def __init__(self, rows):
        super().__init__(rows)
        self.taken = 0

    def take(self, rows):
        self.taken += len(rows)
        return self.rows[rows]


def test_single_rows_spare_reading_blocks_again(generator):
    points = torch.randn(2000, 12, generator=generator)
    queries = 0.8 * torch.randn(50, 12, generator=generator)
    whole = membership(points, queries)
    blocks, table = Bank(points), Table(points)
    for bank in (blocks, table):
        found = membership(bank, queries)
        assert torch.equal(found.inside, whole.inside)
        torch.testing.assert_close(found.residual, whole.residual, atol=1e-9, rtol=0)
    assert table.taken > 0
    assert 3 * sum(table.reads) < sum(blocks.reads)
