"""The Ray cluster that a command uses."""

from __future__ import annotations

import logging
import math
import os


def connect_to_ray(num_cpus: float) -> bool:
    """Connect to the cluster of RAY_ADDRESS, or one that runs on this machine, or start one here.

    Args:
        num_cpus: wanted by the replicas. One that is started here has so many: CPUs are counted and
            not bound, and without enough of them replicas would wait for ever.

    Returns:
        Whether one was started here; it ends with this process.

    Raises:
        ValueError: if Ray isn't installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("--ray needs Ray: pip install 'anymodal[ray]'") from error
    if ray.is_initialized():
        return False
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
        return False
    except ConnectionError:
        pass
    ray.init(
        num_cpus=max(os.cpu_count() or 1, math.ceil(num_cpus)),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    return True
