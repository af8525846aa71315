"""The figures about a node's VIPs, as families of metrics.

Only code that answers a scrape imports this: the library takes memory that an idle node does not need.
"""

from collections.abc import Iterator

from prometheus_client.core import Metric

from eccmgr.metrics.families import Families
from worker.duravip.changes import Figures

ADDRESSES_MAX = 1000


def vip_metrics(figures: Figures, families: Families) -> Iterator[Metric]:
    """`figures`, without those that were never measured."""
    yield families.one("eccmgr_vips_owned", "VIPs that are plumbed on this node.", figures.owned)
    owned = {(address,): 1.0 for address in sorted(figures.addresses)[:ADDRESSES_MAX]}
    yield families.gauge("eccmgr_vip_owned", "1 for each VIP that is plumbed on this node.", owned, "address")
    changes = {(snake_case(kind.value),): number for kind, number in figures.changes.items()}
    yield families.counter("eccmgr_vip_changes", "Changes of ownership seen here, by kind.", changes, "kind")
    if figures.outage_s is not None:
        yield families.one(
            "eccmgr_vip_last_takeover_outage_seconds",
            "The last takeover: from when this node first saw the owner's session late (or, where that was ended "
            "before, from the decision to take over) until the VIP was plumbed here.",
            figures.outage_s,
        )
    if figures.lease_age_s is not None:
        about = "Since the last renewal that was answered was sent."
        yield families.one("eccmgr_vip_lease_age_seconds", about, figures.lease_age_s)
    fence = {(snake_case(figures.fence or "no guardian"),): float(figures.is_open)}
    about = "1 while a guardian serves and the deadline of its fence has not passed."
    yield families.gauge("eccmgr_vip_fence_open", about, fence, "fence")


def snake_case(words: str) -> str:
    """Words as the value of a label."""
    return words.replace(" ", "_")
