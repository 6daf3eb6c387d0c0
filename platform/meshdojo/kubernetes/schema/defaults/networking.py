"""Defaults of services, endpoints, ingresses and network policies.

A cluster IP and node ports are not defaults but allocations: the API server's business.
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.schema.defaults.fill import child, fill

_AFFINITY_SECONDS = 10800


def default_service(service: Object) -> None:
    """Source: SetDefaults_Service in k8s.io/kubernetes/pkg/apis/core/v1."""
    spec = child(service, "spec")
    fill(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "ClientIP":
        fill(child(child(spec, "sessionAffinityConfig"), "clientIP"), timeoutSeconds=_AFFINITY_SECONDS)
    for port in spec.get("ports") or ():
        fill(port, protocol="TCP")
        if port.get("targetPort") in (None, "", 0):
            port["targetPort"] = port.get("port", 0)
    if spec["type"] in ("NodePort", "LoadBalancer"):
        fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
    if spec["type"] != "ExternalName":
        fill(spec, internalTrafficPolicy="Cluster")
        _default_families(spec)
    child(child(service, "status"), "loadBalancer")


def _default_families(spec: Object) -> None:
    """A headless service without selector may have endpoints of both families."""
    dual = spec.get("clusterIP") == "None" and not spec.get("selector")
    if dual:
        fill(spec, ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
    else:
        fill(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")


def default_endpoints(endpoints: Object) -> None:
    """Source: SetDefaults_Endpoints in k8s.io/kubernetes/pkg/apis/core/v1."""
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            fill(port, protocol="TCP")


def default_endpoint_slice(endpoint_slice: Object) -> None:
    """Source: SetDefaults_EndpointPort in k8s.io/kubernetes/pkg/apis/discovery/v1; empty lists are shown as null."""
    endpoint_slice.setdefault("endpoints", None)
    endpoint_slice.setdefault("ports", None)
    for port in endpoint_slice["ports"] or ():
        port.setdefault("name", "")
        fill(port, protocol="TCP")


def default_ingress(ingress: Object) -> None:
    """An empty load balancer in the status, as the real server shows it."""
    child(child(ingress, "status"), "loadBalancer")


def default_network_policy(policy: Object) -> None:
    """Source: SetDefaults_NetworkPolicy in k8s.io/kubernetes/pkg/apis/networking/v1."""
    spec = child(policy, "spec")
    child(spec, "podSelector")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]:
        for port in rule.get("ports") or ():
            fill(port, protocol="TCP")
