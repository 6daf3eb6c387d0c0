"""What goes on in a mesh, for people to look at: services, versions, requests, certificates, faults.

    accesslog   one line of a proxy's access log
    traffic     many lines: rates, errors and latency of each way between two workloads
    workloads   which pods belong together, and to which service
    policies    what VirtualServices, DestinationRules and PeerAuthentications say about a service
    picture     all of it put together: the graph
    observer    keeps the picture up to date while somebody looks
    details     one node of it: pods, configuration in effect, log, counters
    trace       one request, hop by hop
    load        steady requests, so that there is something to see

Numbers come from the proxies' access logs (and Envoy's own per-endpoint counters in `details`), because the metric
istio_requests_total is absent in places. Nothing here judges, and nothing changes the cluster except the probe's pods.
"""
