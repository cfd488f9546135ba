import torch

from offmap.lab.claims.symbolic.blank_pixels import FRAME, given, noisy
from offmap.lab.data import digits
from offmap.lab.run import find
from offmap.numerics.span import span_of


def test_smoke_verdict():
    assert find(["offspan_noise"], scale="smoke")[0].verdict == "supported"


def test_blank_pixels_are_the_frame_and_those_without_a_mark(generator):
    nets, span, train, test = given({}, 0, 2, generator=generator)
    side = 8 + 2 * FRAME
    unmarked = int((digits().inputs.amax(dim=0) == 0).sum())
    assert len(span.flat) == side**2 - 64 + unmarked == span.codimension
    assert not train[:, span.flat].any()
    assert len(nets) == 2 and nets[0](test).dtype == torch.double
    pictures = train.view(-1, side, side)[:, FRAME:-FRAME, FRAME:-FRAME]
    assert torch.equal(pictures, digits().inputs[:, 0].double())


def test_noise_touches_blank_pixels_alone(generator):
    inputs = torch.rand(6, 5, generator=generator, dtype=torch.double)
    inputs[:, 3] = 0
    other = noisy(inputs, span_of([inputs]), generator=generator)
    assert torch.equal(other[:, [0, 1, 2, 4]], inputs[:, [0, 1, 2, 4]])
    assert bool((other[:, 3] > 0).all()) and other[:, 3].unique().numel() == 6


def test_without_blank_pixels_there_is_no_noise(generator):
    inputs = torch.rand(6, 5, generator=generator, dtype=torch.double)
    assert torch.equal(noisy(inputs, span_of([inputs]), generator=generator), inputs)
