"""What the client's models do not say about the built-in types.

Sources: the Go types of k8s.io/api and the merge keys in a server's OpenAPI document (Kubernetes 1.34).
"""

from __future__ import annotations

# Integer fields of 64 bits; every other integer has 32.
_INT64 = """
activeDeadlineSeconds deletionGracePeriodSeconds expirationSeconds fsGroup generation gracePeriodSeconds maxItems
maxLength maxProperties minItems minLength minProperties observedGeneration remainingItemCount revision runAsGroup
runAsUser seconds sizeBytes startingDeadlineSeconds supplementalGroups terminationGracePeriodSeconds
tolerationSeconds
"""
INT64 = frozenset(_INT64.split())

MICRO_TIMES = frozenset({"acquireTime", "eventTime", "lastObservedTime", "renewTime"})

_LIMIT_RANGE = frozenset({"default", "defaultRequest", "max", "maxLimitRequestRatio", "min"})
_REQUESTS = frozenset({"limits", "requests"})
QUANTITIES: dict[str, frozenset[str]] = {
    "V1ContainerStatus": frozenset({"allocatedResources"}),
    "V1EmptyDirVolumeSource": frozenset({"sizeLimit"}),
    "V1LimitRangeItem": _LIMIT_RANGE,
    "V1NodeStatus": frozenset({"allocatable", "capacity"}),
    "V1PersistentVolumeClaimStatus": frozenset({"allocatedResources", "capacity"}),
    "V1PersistentVolumeSpec": frozenset({"capacity"}),
    "V1PodSpec": frozenset({"overhead"}),
    "V1ResourceFieldSelector": frozenset({"divisor"}),
    "V1ResourceQuotaSpec": frozenset({"hard"}),
    "V1ResourceQuotaStatus": frozenset({"hard", "used"}),
    "V1ResourceRequirements": _REQUESTS,
    "V1VolumeResourceRequirements": _REQUESTS,
    "V2HPAScalingRules": frozenset({"tolerance"}),
    "V2MetricTarget": frozenset({"averageValue", "value"}),
    "V2MetricValueStatus": frozenset({"averageValue", "value"}),
}

# Fields that are pointers in Go: false, 0 and "" are kept, everywhere else they are the same as absent.
_POINTERS = """
activeDeadlineSeconds allocateLoadBalancerNodePorts allowPrivilegeEscalation automountServiceAccountToken
averageUtilization backoffLimit backoffLimitPerIndex blockOwnerDeletion collisionCount completions controller
defaultMode deletionGracePeriodSeconds enableServiceLinks endPort expirationSeconds failedJobsHistoryLimit fsGroup
gracePeriodSeconds hostProcess hostUsers immutable ingressClassName leaseDurationSeconds leaseTransitions limitBytes
loadBalancerClass manualSelector maxFailedIndexes maxItems maxLength maxProperties maximum minDomains minItems
minLength minProperties minReplicas minimum mode multipleOf optional parallelism partition priority privileged
progressDeadlineSeconds readOnlyRootFilesystem ready replicas revisionHistoryLimit runAsGroup runAsNonRoot runAsUser
serving setHostnameAsFQDN shareProcessNamespace stabilizationWindowSeconds started startingDeadlineSeconds
storageClassName successfulJobsHistoryLimit suspend targetCPUUtilizationPercentage terminating
terminationGracePeriodSeconds timeoutSeconds tolerationSeconds ttlSecondsAfterFinished
"""
POINTERS = frozenset(_POINTERS.split())
# ... except in these types, where the field of that name is no pointer.
NOT_POINTERS = frozenset(
    {
        ("V1DeploymentStatus", "replicas"),
        ("V1IngressClassSpec", "controller"),
        ("V1PersistentVolumeSpec", "storageClassName"),
        ("V1Probe", "timeoutSeconds"),
        ("V1ScaleSpec", "replicas"),
        ("V1AWSElasticBlockStoreVolumeSource", "partition"),
        ("V1GCEPersistentDiskVolumeSource", "partition"),
    }
)
# In these types only, a field of this name is a pointer.
POINTERS_OF = frozenset(
    {
        ("AdmissionregistrationV1ServiceReference", "port"),
        ("DiscoveryV1EndpointPort", "name"),
        ("DiscoveryV1EndpointPort", "port"),
        ("V1PodDNSConfigOption", "value"),
        ("V1HostPathVolumeSource", "type"),
    }
)

# Strategic merge patch: lists whose elements are merged, by the field that identifies an element. "" is a list of
# scalars that are merged as a set.
MERGE_KEYS: dict[tuple[str, str], str] = {
    ("Container", "env"): "name",
    ("Container", "ports"): "containerPort",
    ("Container", "volumeDevices"): "devicePath",
    ("Container", "volumeMounts"): "mountPath",
    ("EphemeralContainer", "env"): "name",
    ("EphemeralContainer", "ports"): "containerPort",
    ("EphemeralContainer", "volumeDevices"): "devicePath",
    ("EphemeralContainer", "volumeMounts"): "mountPath",
    ("DaemonSetStatus", "conditions"): "type",
    ("DeploymentStatus", "conditions"): "type",
    ("HorizontalPodAutoscalerStatus", "conditions"): "type",
    ("JobStatus", "conditions"): "type",
    ("MutatingWebhook", "matchConditions"): "name",
    ("MutatingWebhookConfiguration", "webhooks"): "name",
    ("NamespaceStatus", "conditions"): "type",
    ("NodeSpec", "podCIDRs"): "",
    ("NodeStatus", "addresses"): "type",
    ("NodeStatus", "conditions"): "type",
    ("ObjectMeta", "finalizers"): "",
    ("ObjectMeta", "ownerReferences"): "uid",
    ("PersistentVolumeClaimStatus", "conditions"): "type",
    ("PodDisruptionBudgetStatus", "conditions"): "type",
    ("PodSpec", "containers"): "name",
    ("PodSpec", "ephemeralContainers"): "name",
    ("PodSpec", "hostAliases"): "ip",
    ("PodSpec", "imagePullSecrets"): "name",
    ("PodSpec", "initContainers"): "name",
    ("PodSpec", "resourceClaims"): "name",
    ("PodSpec", "schedulingGates"): "name",
    ("PodSpec", "topologySpreadConstraints"): "topologyKey",
    ("PodSpec", "volumes"): "name",
    ("PodStatus", "conditions"): "type",
    ("PodStatus", "hostIPs"): "ip",
    ("PodStatus", "podIPs"): "ip",
    ("ReplicaSetStatus", "conditions"): "type",
    ("ServiceAccount", "secrets"): "name",
    ("ServiceSpec", "ports"): "port",
    ("ServiceStatus", "conditions"): "type",
    ("StatefulSetStatus", "conditions"): "type",
    ("ValidatingWebhook", "matchConditions"): "name",
    ("ValidatingWebhookConfiguration", "webhooks"): "name",
}
# Where a patch replaces all keys of the object that it does not name (``$retainKeys``), and where lists of objects
# are identified by several fields in server-side apply.
RETAIN_KEYS = frozenset({("DeploymentSpec", "strategy"), ("PodSpec", "volumes"), ("PodSpec", "resourceClaims")})

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_TRAFFIC = ("Cluster", "Local")
_TAINT_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")

# What an OpenAPI document lists as the values of a field (`kubectl explain` shows them): (struct, field) -> values.
ENUMS: dict[tuple[str, str], tuple[str, ...]] = {
    ("Container", "imagePullPolicy"): ("Always", "IfNotPresent", "Never"),
    ("Container", "terminationMessagePolicy"): ("FallbackToLogsOnError", "File"),
    ("ContainerPort", "protocol"): _PROTOCOLS,
    ("CronJobSpec", "concurrencyPolicy"): ("Allow", "Forbid", "Replace"),
    ("DeploymentStrategy", "type"): ("Recreate", "RollingUpdate"),
    ("HTTPGetAction", "scheme"): ("HTTP", "HTTPS"),
    ("PodSpec", "dnsPolicy"): ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    ("PodSpec", "preemptionPolicy"): ("Never", "PreemptLowerPriority"),
    ("PodSpec", "restartPolicy"): ("Always", "Never", "OnFailure"),
    ("PodStatus", "phase"): ("Failed", "Pending", "Running", "Succeeded", "Unknown"),
    ("ServicePort", "protocol"): _PROTOCOLS,
    ("ServiceSpec", "externalTrafficPolicy"): _TRAFFIC,
    ("ServiceSpec", "internalTrafficPolicy"): _TRAFFIC,
    ("ServiceSpec", "ipFamilyPolicy"): ("PreferDualStack", "RequireDualStack", "SingleStack"),
    ("ServiceSpec", "sessionAffinity"): ("ClientIP", "None"),
    ("ServiceSpec", "type"): ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),
    ("Taint", "effect"): _TAINT_EFFECTS,
    ("Toleration", "effect"): _TAINT_EFFECTS,
}

# Server-side apply: structs (by model) that have one owner as a whole ("x-kubernetes-map-type: atomic").
ATOMIC_STRUCTS = frozenset(
    {
        "CoreV1EndpointPort",
        "DiscoveryV1EndpointPort",
        "RbacV1Subject",
        "V1ConfigMapKeySelector",
        "V1EndpointAddress",
        "V1LabelSelector",
        "V1LocalObjectReference",
        "V1NodeSelector",
        "V1NodeSelectorTerm",
        "V1ObjectFieldSelector",
        "V1ObjectReference",
        "V1OwnerReference",
        "V1ResourceFieldSelector",
        "V1RoleRef",
        "V1ScopeSelector",
        "V1SecretKeySelector",
        "V1SecretReference",
        "V1TypedLocalObjectReference",
        "V2CrossVersionObjectReference",
    }
)
# The same for maps: (struct, field).
ATOMIC_MAPS = frozenset(
    {
        ("Endpoint", "deprecatedTopology"),
        ("PodSpec", "nodeSelector"),
        ("ReplicationControllerSpec", "selector"),
        ("ServiceSpec", "selector"),
    }
)
