"""Many nodes that do nothing but send their log, in one process: python -m ops.bench.log_swarm URL CLUSTER FOLDER N."""

import asyncio
import sys
import tempfile
from pathlib import Path

from eccmgr.cluster.options import ClusterOptions
from eccmgr.config.live.store import Store
from eccmgr.logs.collection.following.watching import WatchingPart
from eccmgr.modules.catalogue import installed
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import load_all


async def main(url: str, cluster: str, folder: str, nodes: int) -> None:
    """Send `FOLDER/nN.log` of each node."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(nodes):
            with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
                file.write(f'cluster {{ logs = [ x = "{folder}/n{number}.log" ] }}')
                file.flush()
                view = Store.open(file.name, schema=installed().schema).view()
            link, keys = Link(url), Keys(cluster)
            part = WatchingPart(link, keys, ClusterOptions(), f"n{number}", lambda: "default", view)
            await part.start(lambda work, name: tasks.create_task(work, name=name))  # type: ignore[arg-type, misc]


if __name__ == "__main__":
    load_all()
    asyncio.run(main(sys.argv[1], sys.argv[2], str(Path(sys.argv[3])), int(sys.argv[4])))
