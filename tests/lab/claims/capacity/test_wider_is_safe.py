"""The widest network is as good as one of width 128; a narrow one is not."""

from offmap.lab.claims.capacity.wider_is_safe import wider_is_safe
from offmap.lab.run import find

SMALL = {
    "n": 60,
    "repeats": 2,
    "widths": (4, 128, 256),
    "epochs": 30,
    "batch_size": 30,
    "rate": 0.01,
}


def test_supported_at_smoke():
    assert find(["wider_is_safe"], scale="smoke")[0].verdict == "supported"


def test_a_narrow_network_is_worse(generator):
    """The order turned around: the last width is the narrow one."""
    trial = wider_is_safe(generator=generator, **(SMALL | {"widths": (256, 128, 4)}))
    assert trial.effect > 0.05


def test_parameters_are_counted(generator):
    trial = wider_is_safe(generator=generator, **SMALL)
    assert (
        trial.parts["parameters of the widest, for each example"]
        == ((64 * 256 + 256) + (256 * 10 + 10)) / 60
    )
