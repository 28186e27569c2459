"""Many hosts on one machine: network namespaces, the programs on them, a load, and faults."""

from tests.support.many_hosts.cluster import Cluster, many_hosts

__all__ = ["Cluster", "many_hosts"]
