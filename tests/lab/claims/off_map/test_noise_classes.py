import torch

from offmap.lab.claims.off_map.noise_classes import _collapse, noises
from offmap.lab.data import digits
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["noise_classes"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["in three classes, test digits"].high < 0.4  # the control


def test_collapse_of_labels_without_preference_and_with_one(generator):
    even = torch.arange(1000) % 10
    assert abs(_collapse(even) - 0.3) < 1e-9
    assert _collapse(torch.zeros(10, dtype=torch.long)) == 1
    random = [_collapse(torch.randint(10, (400,), generator=generator)) for _ in range(50)]
    assert abs(sum(random) / 50 - 0.3) < 0.02  # chosen on one half: not too high


def test_kinds_of_noise(generator):
    real = digits().test_inputs.flatten(1)
    kinds = noises(real, 700, generator=generator)
    assert all(x.shape == (700, 64) for x in kinds.values())
    assert kinds["uniform"].min() >= 0 and kinds["uniform"].max() <= 1
    torch.testing.assert_close(
        kinds["permuted pixels"][:597].sort(dim=1).values, real.sort(dim=1).values
    )
    assert not torch.equal(kinds["permuted pixels"][:597], real)
    assert bool((kinds["constant"] == kinds["constant"][:, :1]).all())
    assert abs(kinds["Gaussian"].std() / real.std() - 1) < 0.02
