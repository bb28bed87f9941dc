"""Ray, started on this machine or reached on a cluster; without a word to anybody."""

import logging
import os
import warnings
from contextlib import ExitStack
from typing import Any

from vinscribe.cores import core_count
from vinscribe.errors import UsageError

OBJECT_STORE_BYTES = 100_000_000
"""Shared memory of a Ray that is started here; names and results are all that goes through it."""

_TRIES = 2  # to start a Ray of our own
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
_OWN_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listens on this machine only
    "RAY_health_check_failure_threshold": "100",  # a machine that is busy for a minute is not lost
    "RAY_worker_niceness": "0",  # or every other program would go before the reading
}


def start_ray(address: str, count: int | None, context: ExitStack) -> Any:
    """Ray, started or reached, and let go of when the context ends; one that this process has started already as it is.

    Raises:
        UsageError: it is not installed, or cannot be reached.
    """
    for name, value in (_ENVIRONMENT if address else _ENVIRONMENT | _OWN_ENVIRONMENT).items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pyarrow  # noqa: F401
            import ray
            import ray.data
        except ImportError as error:
            raise UsageError(
                f"--ray: {error.name or error} is not installed; pip install -r requirements-cluster.txt"
            ) from None
        if not ray.is_initialized():
            _init(ray, address, count)
            context.callback(ray.shutdown)
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return ray


def _init(ray: Any, address: str, count: int | None) -> None:
    own = {} if address else _own_ray(count or core_count())
    for tries_left in reversed(range(_TRIES)):
        try:
            ray.init(address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **own)
            return
        except Exception as error:  # Ray raises many kinds, and plain exceptions, too
            ray.shutdown()
            if tries_left and not address:  # a Ray of our own gives up after half a minute, if the machine is busy
                continue
            said = " ".join(str(error).split())[:200]
            way_out = "start it with ray start --head" if address else "try again without --ray"
            raise UsageError(f"--ray {address}: {said}; {way_out}") from None


def _own_ray(count: int) -> dict[str, Any]:
    return {
        "num_cpus": count,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_node_ip_address": "127.0.0.1",
    }
