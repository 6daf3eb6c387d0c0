"""WorkloadEntry: one workload outside Kubernetes, such as a virtual machine."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import MaxLen
from pydantic import Field

from meshdojo.istio.models.base import AGE, Column, Kind, KindType, Labels, Model, Rule, UInt32, schema
from meshdojo.istio.models.common import PortNumber

NO_PORTS_FOR_SOCKETS = Rule(
    '(has(self.address) ? self.address : "").startsWith("unix://") ? !has(self.ports) : true',
    "UDS may not include ports",
)
Address = Annotated[
    str,
    MaxLen(256),
    schema(
        Rule(
            'self.startsWith("unix://") ? (self.substring(7, 8) == "/" || self.substring(7, 8) == "@") : true',
            "UDS must be an absolute path or abstract socket",
        ),
        Rule('self.startsWith("unix://") ? !self.endsWith("/") : true', "UDS may not be a dir"),
    ),
]
Ports = Annotated[
    dict[str, PortNumber],
    schema(
        Rule(
            'self.all(key, size(key) < 63 && key.matches("^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$"))',
            "port name must be valid",
        ),
        maxProperties=128,
    ),
]


class WorkloadTemplate(Model):
    """What a WorkloadGroup gives to its entries: an entry that needs no address yet."""

    RULES: ClassVar[tuple[Rule, ...]] = (NO_PORTS_FOR_SOCKETS,)

    address: Address = Field(default="", description="IP address, DNS name, or unix:// and the path of a socket.")
    ports: Ports = Field(default_factory=dict, description="Ports by the service port's name, where they differ.")
    labels: Annotated[Labels, schema(maxProperties=256)] = Field(
        default_factory=dict, description="Labels, as those of a pod: subsets and selectors look at them."
    )
    network: Annotated[str, MaxLen(2048)] = Field(
        default="", description="Network of the address, if there are several."
    )
    locality: Annotated[str, MaxLen(2048)] = Field(default="", description="Where it runs: region/zone/sub-zone.")
    weight: UInt32 = Field(default=0, description="Share of the traffic, relative to the other endpoints.")
    service_account: Annotated[str, MaxLen(253)] = Field(
        default="", description="Service account of the workload, in the same namespace, if it has a sidecar."
    )


class WorkloadEntrySpec(WorkloadTemplate):
    """Where the workload is and what it is called."""

    RULES: ClassVar = (Rule("has(self.address) || has(self.network)", "Address is required"), NO_PORTS_FOR_SOCKETS)


class WorkloadEntry(Kind):
    """A workload outside Kubernetes that a ServiceEntry can select."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="WorkloadEntry",
        plural="workloadentries",
        versions=("v1", "v1alpha3", "v1beta1"),
        storage="v1",
        short_names=("we",),
        columns=(AGE, Column("Address", ".spec.address", "Address of the workload.")),
        spec_required=True,
    )

    spec: WorkloadEntrySpec = Field(description="Where the workload is and what it is called.")
