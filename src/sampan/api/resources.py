"""The table of resources: which kinds there are, what they are called, and what can be done to them.

Everything that needs to know a resource asks here: discovery, routing, RBAC defaults, the client, the informers.
Upstream: the ``pkg/registry`` storages and ``staging/src/k8s.io/api`` register the same facts one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CREATE_ONLY = ("create",)
READ_WRITE = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """``pods/exec`` and its like. ``kind``/``api_version`` name the body's type where it differs from the parent's."""

    name: str
    verbs: tuple[str, ...] = READ_WRITE
    kind: str = ""
    api_version: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of one group and version. ``group`` is ``""`` for core."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    stored_as: str = ""  # "group/plural" under which objects are stored when another resource shares them (events)

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """``pods`` or ``deployments.apps``, as in error messages and in ``kubectl api-resources -o name``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.subresources if s.name == name), None)

    def prefix(self, namespace: str | None = None) -> str:
        """The URL path of the collection: ``/api/v1/namespaces/default/pods``."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            root += f"/namespaces/{namespace}"
        return f"{root}/{self.plural}"

    def storage_prefix(self, namespace: str | None = None) -> str:
        """The key prefix in the store, with a trailing slash: ``/pods/default/`` or ``/apps/deployments/``."""
        base = self.stored_as or (f"{self.group}/{self.plural}" if self.group else self.plural)
        return f"/{base}/{namespace}/" if self.namespaced and namespace else f"/{base}/"

    def storage_key(self, name: str, namespace: str | None = None) -> str:
        return self.storage_prefix(namespace) + name


STATUS = Subresource("status")
SCALE = Subresource("scale", READ_WRITE, "Scale", "autoscaling/v1")
RBAC_GROUP = "rbac.authorization.k8s.io"
CONNECT = ("create", "get")

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", False, "namespace", ("ns",),
                      verbs=tuple(v for v in ALL_VERBS if v != "deletecollection"),
                      subresources=(STATUS, Subresource("finalize", ("update",))))
NODES = Resource("", "v1", "nodes", "Node", False, "node", ("no",),
                 subresources=(STATUS, Subresource("proxy", ("create", "delete", "get", "patch", "update"),
                                                   "NodeProxyOptions")))
PODS = Resource("", "v1", "pods", "Pod", True, "pod", ("po",), ("all",), subresources=(
    STATUS,
    Subresource("log", ("get",)),
    Subresource("exec", CONNECT, "PodExecOptions"),
    Subresource("attach", CONNECT, "PodAttachOptions"),
    Subresource("portforward", CONNECT, "PodPortForwardOptions"),
    Subresource("binding", CREATE_ONLY, "Binding"),
    Subresource("eviction", CREATE_ONLY, "Eviction", "policy/v1"),
    Subresource("ephemeralcontainers"),
    Subresource("resize"),
))
SERVICES = Resource("", "v1", "services", "Service", True, "service", ("svc",), ("all",), subresources=(STATUS,))
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints", True, "endpoints", ("ep",))
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap", True, "configmap", ("cm",))
SECRETS = Resource("", "v1", "secrets", "Secret", True, "secret")
TOKEN = Subresource("token", CREATE_ONLY, "TokenRequest", "authentication.k8s.io/v1")
SERVICEACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", True, "serviceaccount", ("sa",),
                           subresources=(TOKEN,))
CORE_EVENTS = Resource("", "v1", "events", "Event", True, "event", ("ev",))
BINDINGS = Resource("", "v1", "bindings", "Binding", True, "binding", verbs=CREATE_ONLY)
EVENTS = Resource("events.k8s.io", "v1", "events", "Event", True, "event", ("ev",), stored_as="events")
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, "endpointslice")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", True, "deployment", ("deploy",), ("all",),
                       subresources=(STATUS, SCALE))
REPLICASETS = Resource("apps", "v1", "replicasets", "ReplicaSet", True, "replicaset", ("rs",), ("all",),
                       subresources=(STATUS, SCALE))
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", True, "lease")
ROLES = Resource(RBAC_GROUP, "v1", "roles", "Role", True, "role")
ROLEBINDINGS = Resource(RBAC_GROUP, "v1", "rolebindings", "RoleBinding", True, "rolebinding")
CLUSTERROLES = Resource(RBAC_GROUP, "v1", "clusterroles", "ClusterRole", False, "clusterrole")
CLUSTERROLEBINDINGS = Resource(RBAC_GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", False,
                               "clusterrolebinding")
TOKENREVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False, "tokenreview",
                        verbs=CREATE_ONLY)
SELFSUBJECTREVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False,
                              "selfsubjectreview", verbs=CREATE_ONLY)
SUBJECTACCESSREVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False,
                                "subjectaccessreview", verbs=CREATE_ONLY)
SELFSUBJECTACCESSREVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews",
                                    "SelfSubjectAccessReview", False, "selfsubjectaccessreview", verbs=CREATE_ONLY)
LOCALSUBJECTACCESSREVIEWS = Resource("authorization.k8s.io", "v1", "localsubjectaccessreviews",
                                     "LocalSubjectAccessReview", True, "localsubjectaccessreview", verbs=CREATE_ONLY)
SELFSUBJECTRULESREVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview",
                                   False, "selfsubjectrulesreview", verbs=CREATE_ONLY)
#: There are none yet, and none can be made; but kubectl lists them before it says that a kind is unknown.
CUSTOMRESOURCEDEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions",
                                     "CustomResourceDefinition", False, "customresourcedefinition", ("crd", "crds"),
                                     ("api-extensions",), verbs=("get", "list", "watch"))

#: In discovery's order: core first, then the groups as upstream ranks them.
RESOURCES: tuple[Resource, ...] = (
    BINDINGS, CONFIGMAPS, ENDPOINTS, CORE_EVENTS, NAMESPACES, NODES, PODS, SECRETS, SERVICEACCOUNTS, SERVICES,
    EVENTS,
    TOKENREVIEWS, SELFSUBJECTREVIEWS,
    SUBJECTACCESSREVIEWS, SELFSUBJECTACCESSREVIEWS, LOCALSUBJECTACCESSREVIEWS, SELFSUBJECTRULESREVIEWS,
    DEPLOYMENTS, REPLICASETS,
    CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES,
    LEASES,
    ENDPOINTSLICES,
    CUSTOMRESOURCEDEFINITIONS,
)

_BY_PLURAL = {(r.group, r.version, r.plural): r for r in RESOURCES}
_BY_KIND = {(r.api_version, r.kind): r for r in RESOURCES}


def by_plural(group: str, version: str, plural: str) -> Resource | None:
    return _BY_PLURAL.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Resource | None:
    return _BY_KIND.get((api_version, kind))
