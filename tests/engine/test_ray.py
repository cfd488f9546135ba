"""The Ray engine gives the bits of the local one, also when a node is lost on the way."""

import gc
import warnings
from collections.abc import Iterable, Iterator

import pytest
import torch

import offmap
from offmap.demo import digits
from offmap.engine.graph import Task
from offmap.lab.run import find
from offmap.reading import Entry, Skipped
from offmap.report.report import Report
from offmap.run import TrainingRun

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.ray

MEASURES = (
    "calibration_error",  # forward, bootstrapped
    "input_jacobian",  # shards of examples
    "train_feature_distance",  # a search in features, which come from passes
    "distance_error",  # pools all splits
    "seed_spread",  # trains networks
    "worst_group_error",
)


@pytest.fixture(scope="module")
def run() -> TrainingRun:
    """The demo, trained briefly."""
    return digits(epochs=2)


@pytest.fixture(scope="module")
def local(run: TrainingRun) -> Report:
    """What the local engine says."""
    return _audit(run, "local")


@pytest.fixture
def cluster() -> Iterator["ray.cluster_utils.Cluster"]:
    """A head node and one more, each with one CPU, that this process is connected to."""
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray leaves files and processes to the garbage collector
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        ray.init(address=nodes.address, log_to_driver=False)
        yield nodes
        ray.shutdown()
        nodes.shutdown()
        gc.collect()


def _audit(run: TrainingRun, engine: str, watcher: type | None = None) -> Report:
    return offmap.audit(
        run,
        only=MEASURES,
        settings={"seed_spread": {"seeds": 2}},
        engine=engine,
        threads=1,
        watcher=watcher,
    )


def _same_bits(one: Report, other: Report) -> None:
    for first, second in zip(one.entries, other.entries, strict=True):
        assert (first.measure, first.split) == (second.measure, second.split)
        if isinstance(first.outcome, Skipped):
            assert first.outcome == second.outcome
            continue
        assert first.reading is not None
        assert second.reading is not None
        assert first.reading.estimate == second.reading.estimate
        assert first.reading.parts == second.reading.parts
        rows, others = first.reading.per_example, second.reading.per_example
        assert (rows is None) == (others is None)
        if rows is not None and others is not None:
            assert torch.equal(rows.double().view(torch.int64), others.view(torch.int64))


@pytest.mark.filterwarnings("ignore")
def test_two_nodes_give_the_same_bits(
    run: TrainingRun, local: Report, cluster: "ray.cluster_utils.Cluster"
) -> None:
    cluster.add_node(num_cpus=1)
    report = _audit(run, "ray")
    _same_bits(local, report)
    assert report.provenance.engine == "ray"


@pytest.mark.filterwarnings("ignore")
def test_a_node_killed_on_the_way_changes_nothing(
    run: TrainingRun, local: Report, cluster: "ray.cluster_utils.Cluster"
) -> None:
    victim = cluster.add_node(num_cpus=1)
    killed = []

    class Killer:
        """Kills a node without notice after the sixth task, and brings another."""

        def __init__(self, costs: dict[str, float]) -> None:
            self.finished = 0

        def begin(self, tasks: Iterable[Task], reused: int) -> None:
            assert len(list(tasks)) > 10

        def start(self, task: Task) -> None:
            pass

        def finish(self, task: Task, entry: Entry | None) -> None:
            self.finished += 1
            if self.finished == 6:
                cluster.remove_node(victim, allow_graceful=False)
                cluster.add_node(num_cpus=1)
                killed.append(victim)

    _same_bits(local, _audit(run, "ray", Killer))
    assert killed


def test_trials_of_the_laboratory_are_the_same_on_a_cluster(cluster, tmp_path):
    names = ["gaussian_hull_growth", "barany_furedi_fresh_point"]
    here = find(names, seeds=3)
    there = find(names, seeds=3, engine="ray", out=tmp_path)
    for one, other in zip(here, there, strict=True):
        assert [t.effect for t in one.finished] == [t.effect for t in other.finished]
        assert [t.parts for t in one.finished] == [t.parts for t in other.finished]
    assert all(done.reused for found in find(names, seeds=3, out=tmp_path) for done in found.trials)
