"""The configurations of nodes that carry VIPs in memory, with times that let a test end soon."""

from tests.times import QUICK_TIMES

IN_MEMORY = 'plumber = "memory"  fence = "none"'
"""No kernel knows the VIPs."""
ONE_VIP = f"""
cluster {{
  {QUICK_TIMES}
  {IN_MEMORY}
  view_mature_time = 0.5
  Topology "10.1.1.0/24" {{ interface = "lo"  cidrmask = "32" }}
}}
Binding "b" {{
  Bind_Address = "10.1.1.1"
  Enable_Duravip = true
}}
"""


def vips_in_memory(number: int, options: str = "") -> str:
    """The configuration of nodes that share this number of VIPs: 10.9.0.1, 10.9.0.2, and so on.

    `options` are more options of the cluster.
    """
    bindings = (
        f'Binding "vip-{each}" {{ Enable_Duravip = true  Bind_Address = "10.9.0.{each}" }}\n'
        for each in range(1, number + 1)
    )
    return f"""
cluster {{
  {QUICK_TIMES}
  {IN_MEMORY}
  view_mature_time = 0.5
  view_balance_interval = 0.2
  Topology "10.9.0.0/16" {{ interface = "lo"  cidrmask = "32" }}
  {options}
}}
{"".join(bindings)}"""
