"""Settings of Dask under which its processes leave the processor to the work: idle ones took 3 % of a core each.

Its own defaults sample what every worker does a hundred times a second, look fifty times a second whether each process
answers, and write down memory and traffic twice a second, all for a dashboard that nobody sees here.
"""

from __future__ import annotations

import os

VARIABLES = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "500ms",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
}


def keep_dask_quiet() -> None:
    """Make these the defaults of this process and of those that it starts; whoever set Dask otherwise is obeyed.

    Call it when ``distributed`` has been imported, whose own defaults would else come over these.
    """
    import dask

    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    dask.config.update_defaults(dask.config.collect_env({name: os.environ[name] for name in VARIABLES}))
