"""Ray: a process for each of eight actors."""
import os
import tempfile

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

import ray

from parts import AGENTS, PARTS, Timed, check


@ray.remote(num_cpus=0)
class Square:
    def square(self, number):
        return number * number


with tempfile.TemporaryDirectory(prefix="ray") as folder:
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        logging_level="ERROR",
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=200_000_000,
        _temp_dir=folder,
    )
    actors = [Square.remote() for _ in range(AGENTS)]
    ray.get([actor.square.remote(0) for actor in actors])
    with Timed():
        check(sum(ray.get([actors[number % AGENTS].square.remote(number) for number in range(PARTS)])))
    ray.shutdown()
