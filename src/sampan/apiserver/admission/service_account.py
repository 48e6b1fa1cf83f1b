"""ServiceAccount: every Pod runs as one, and gets a token of it mounted unless somebody says no.

The mount is a projected volume: a token that the kubelet renews, the cluster's CA, and the namespace's name.
Upstream: ``plugin/pkg/admission/serviceaccount``.
"""

from __future__ import annotations

import random
from typing import Any

from sampan.api.errors import Forbidden
from sampan.api.resources import PODS, SERVICEACCOUNTS
from sampan.apiserver.admission.base import Attributes, Plugin

Object = dict[str, Any]

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607  # an odd number that nobody else asks for: see auth.tokens.EXTENDABLE_SECONDS
_MIRROR = "kubernetes.io/config.mirror"
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class ServiceAccount(Plugin):
    name = "ServiceAccount"

    async def admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        if pod is None or not attributes.on(PODS, "CREATE"):
            return
        if _is_mirror(pod):
            return
        spec = pod.setdefault("spec", {})
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(attributes, name)
        if _should_mount(spec, account):
            mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": s.get("name", "")} for s in account["imagePullSecrets"]]

    async def validate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        if pod is None or not attributes.on(PODS, "CREATE") or not _is_mirror(pod):
            return
        spec = pod.get("spec") or {}
        why = ""
        if spec.get("serviceAccountName"):
            why = "a mirror pod may not reference service accounts"
        elif _references_secrets(spec):
            why = "a mirror pod may not reference secrets"
        if why:
            raise Forbidden.of(PODS, pod["metadata"].get("name", ""), why)

    async def _account(self, attributes: Attributes, name: str) -> Object:
        """Raises: Forbidden."""
        account = await attributes.server.get_object(SERVICEACCOUNTS, name, attributes.namespace)
        if account is None:
            pod = attributes.obj or {}
            raise Forbidden.of(
                PODS, (pod.get("metadata") or {}).get("name", ""), "error looking up service account "
                f'{attributes.namespace}/{name}: serviceaccount "{name}" not found')
        return account


def _should_mount(spec: Object, account: Object) -> bool:
    """The Pod's word counts before the account's."""
    for each in (spec, account):
        if each.get("automountServiceAccountToken") is not None:
            return bool(each["automountServiceAccountToken"])
    return True


def mount_token(spec: Object) -> None:
    """Mount the token into every container that has nothing at that path yet, in place."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    waiting = [c for c in containers if all(m.get("mountPath") != MOUNT_PATH for m in c.get("volumeMounts") or ())]
    if not waiting:
        return
    volumes = spec.get("volumes") or []
    name = next((v["name"] for v in volumes if v.get("name", "").startswith("kube-api-access-")), "")
    if not name:
        taken = {v.get("name") for v in volumes}
        while not name or name in taken:
            name = "kube-api-access-" + "".join(random.choices(_SUFFIX_LETTERS, k=5))
        spec["volumes"] = [*volumes, token_volume(name)]
    for container in waiting:
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()),
                                     {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]


def token_volume(name: str) -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]}}


def _is_mirror(pod: Object) -> bool:
    return _MIRROR in ((pod.get("metadata") or {}).get("annotations") or {})


def _references_secrets(spec: Object) -> bool:
    from sampan.auth.node import targets

    pod = {"metadata": {}, "spec": spec}
    return any(resource == "secrets" for resource, _, _ in targets(pod))
