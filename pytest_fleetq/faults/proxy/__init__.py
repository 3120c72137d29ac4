"""TCP proxies, one for each link of a cluster, in a process of their own."""
