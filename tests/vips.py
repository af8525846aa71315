"""The configuration of a node that carries one VIP in memory, with times that let a test end soon."""

ONE_VIP = """
cluster {
  heartbeats_per_sec = 5
  session_lease = 1.5
  max_step = 0.3
  plumber = "memory"
  fence = "none"
  view_mature_time = 0.5
  Topology "10.1.1.0/24" { interface = "lo"  cidrmask = "32" }
}
Binding "b" {
  Bind_Address = "10.1.1.1"
  Enable_Duravip = true
}
"""
