from offmap.lab.claims.off_map.adversarial_leaves_subspace import adversarial_leaves_subspace
from offmap.lab.run import find


def test_verdict_and_control():
    """Refuted for trained networks; attacks on untrained ones are as random directions are."""
    found = find(["adversarial_leaves_subspace"], scale="smoke")[0]
    assert found.verdict == "refuted"
    untrained = found.parts["untrained"]
    assert untrained.low > 0.7
    assert untrained.low - 0.05 < found.parts["of a random direction"].value < untrained.high + 0.05


def test_control_nearly_untrained_networks_bear_the_claim_out(generator):
    trial = adversarial_leaves_subspace(
        networks=4, subspace=2, dimension=60, width=32, n=64, updates=1, generator=generator
    )
    assert trial.effect > 0.7
