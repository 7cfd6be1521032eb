"""A Ray cluster of two nodes on this machine: a comparison on it, of which one node is lost, has the same numbers."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

cluster_utils = pytest.importorskip("ray.cluster_utils")
TESTS = Path(__file__).parents[1]
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

ITEMS = """
import sys
from pathlib import Path
import toy_items
from wmcontrol.engine import ParallelError, run_parallel

where = {"engine": "ray", "engine_address": sys.argv[1]}
assert run_parallel(toy_items.double, [3, 1, 2], **where) == [6, 2, 4]
folder = Path(sys.argv[2])
assert run_parallel(toy_items.die_once, [(i, folder / "mark") for i in range(3)], **where) == [0, 1, 2]
assert (folder / "calls_1").read_text() == "xx" and (folder / "calls_2").read_text() == "x"
try:
    run_parallel(toy_items.fail_at_two, [1, 2, 3], name=lambda item: f"item-{item}", **where)
except ParallelError as error:
    assert list(error.failed) == [1] and "item-2: ValueError: the well is dry" in str(error), error
    print("as it should be")
"""

COMPARISON = """
import sys
from pathlib import Path
import small_compare
from wmcontrol.compare import compare

where = {"engine": "ray", "engine_address": sys.argv[2]} if sys.argv[2:] else {"jobs": 2}
compare(small_compare.small_comparison(num_steps=60), Path(sys.argv[1]), **where)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with a core each."""
    before = dict(os.environ)
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": python_path()}
    quick = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5, "health_check_initial_delay_ms": 0}
    quick |= {"worker_niceness": 0}  # other tests would leave nice workers no time
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={**node, "_system_config": quick})
    try:
        made.add_node(**node)
        yield made
    finally:
        made.shutdown()
        os.environ.clear()
        os.environ |= before


def python_path() -> str:
    folders = [str(TESTS), str(TESTS / "compare"), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(folder for folder in folders if folder)


def start(code: str, *words: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": python_path()})


def test_items_run_again_when_their_worker_dies_and_failures_are_named(cluster: Any, tmp_path: Path) -> None:
    with start(ITEMS, cluster.address, tmp_path) as driver:
        pass
    assert driver.returncode == 0


@pytest.mark.long
def test_a_comparison_that_loses_a_node_has_the_same_numbers(cluster: Any, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with start(COMPARISON, here) as driver:
        pass
    assert driver.returncode == 0
    (lost,) = [node for node in cluster.list_all_nodes() if node is not cluster.head_node]
    with start(COMPARISON, there, cluster.address) as driver:
        # Both are being trained, each on a node.
        until(lambda: driver.poll() is not None or len(list(there.glob("stages/train_*/run/run.json"))) == 2)
        cluster.remove_node(lost, allow_graceful=False)
    assert driver.returncode == 0
    records = [json.loads(path.read_text()) for path in there.glob("stages/train_*/stage.json")]
    assert sorted(len(record["attempts"]) for record in records) == [1, 2]
    assert (there / "report.json").read_text() == (here / "report.json").read_text()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
