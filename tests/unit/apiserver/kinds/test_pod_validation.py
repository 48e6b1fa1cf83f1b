"""What a Pod may not say, in upstream's words."""

import copy

import pytest

from sampan.api.resources import PODS
from sampan.apiserver.kinds.registry import kind_of

POD = {"metadata": {"name": "web", "namespace": "default"}, "spec": {
    "containers": [{"name": "c", "image": "nginx:1"}], "volumes": [{"name": "v", "emptyDir": {}}]}}


def errors(change):
    pod = copy.deepcopy(POD)
    change(pod)
    kind_of(PODS).default(pod)
    return [str(error) for error in kind_of(PODS).validate(pod)]


def container(**fields):
    return lambda pod: pod["spec"]["containers"][0].update(fields)


def spec(**fields):
    return lambda pod: pod["spec"].update(fields)


def meta(**fields):
    return lambda pod: pod["metadata"].update(fields)


def second(**fields):
    return lambda pod: pod["spec"]["containers"].append({"name": "d", "image": "x", **fields})


C = "spec.containers[0]"
CASES = {
    "no name": (meta(name=""), "metadata.name: Required value: name or generateName is required"),
    "bad name": (meta(name="Web"), 'metadata.name: Invalid value: "Web": a lowercase RFC 1123 subdomain must'),
    "bad label": (meta(labels={"a b": "c"}), 'metadata.labels: Invalid value: "a b": name part must consist of'),
    "bad label value": (meta(labels={"a": "b c"}), 'metadata.labels: Invalid value: "b c": a valid label must be'),
    "no containers": (spec(containers=[]), "spec.containers: Required value"),
    "no image": (container(image=""), f"{C}.image: Required value"),
    "blank image": (container(image=" x "), f'{C}.image: Invalid value: " x ": must not have leading or trailing'),
    "no container name": (container(name=""), f"{C}.name: Required value"),
    "bad container name": (container(name="a.b"), f'{C}.name: Invalid value: "a.b": must not contain dots'),
    "same name twice": (second(name="c"), 'spec.containers[1].name: Duplicate value: "c"'),
    "pull policy": (container(imagePullPolicy="Maybe"), f'{C}.imagePullPolicy: Unsupported value: "Maybe": supported '
                    'values: "Always", "IfNotPresent", "Never"'),
    "restart policy": (spec(restartPolicy="Sometimes"), 'spec.restartPolicy: Unsupported value: "Sometimes": '
                       'supported values: "Always", "OnFailure", "Never"'),
    "dns policy": (spec(dnsPolicy="X"), 'spec.dnsPolicy: Unsupported value: "X"'),
    "dns none": (spec(dnsPolicy="None"), "spec.dnsConfig.nameservers: Required value: must provide at least one DNS "
                 "nameserver when `dnsPolicy` is None"),
    "grace": (spec(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds: Invalid value: -1: must be "
              "greater than or equal to 0"),
    "deadline": (spec(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and "
                 "2147483647, inclusive"),
    "no port": (container(ports=[{}]), f"{C}.ports[0].containerPort: Required value"),
    "port": (container(ports=[{"containerPort": 70000}]), f"{C}.ports[0].containerPort: Invalid value: 70000: must be "
             "between 1 and 65535, inclusive"),
    "protocol": (container(ports=[{"containerPort": 1, "protocol": "ICMP"}]), f'{C}.ports[0].protocol: Unsupported '
                 'value: "ICMP": supported values: "SCTP", "TCP", "UDP"'),
    "port name": (container(ports=[{"containerPort": 1, "name": "a_b"}]), f'{C}.ports[0].name: Invalid value: "a_b"'),
    "port name twice": (container(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
                        f'{C}.ports[1].name: Duplicate value: "a"'),
    "host port twice": (container(ports=[{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]),
                        f'{C}.ports[1].hostPort: Duplicate value: "TCP//9"'),
    "env name": (container(env=[{"value": "x"}]), f"{C}.env[0].name: Required value"),
    "env both": (container(env=[{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
                 f'{C}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'),
    "env nothing": (container(env=[{"name": "A", "valueFrom": {}}]), f'{C}.env[0].valueFrom: Invalid value: "": must '
                    "specify one of: `fieldRef`"),
    "env no key": (container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "s"}}}]),
                   f"{C}.env[0].valueFrom.configMapKeyRef.key: Required value"),
    "env field": (container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]),
                  f'{C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.x": error converting fieldPath: '
                  "field label not supported: spec.x"),
    "env resource": (container(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "x"}}}]),
                     f'{C}.env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "x"'),
    "envFrom": (container(envFrom=[{}]), f'{C}.envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or'),
    "mount": (container(volumeMounts=[{"name": "w", "mountPath": "/x"}]),
              f'{C}.volumeMounts[0].name: Not found: "w"'),
    "mount path": (container(volumeMounts=[{"name": "v"}]), f"{C}.volumeMounts[0].mountPath: Required value"),
    "mount twice": (container(volumeMounts=[{"name": "v", "mountPath": "/x"}, {"name": "v", "mountPath": "/x"}]),
                    f'{C}.volumeMounts[1].mountPath: Invalid value: "/x": must be unique'),
    "sub path": (container(volumeMounts=[{"name": "v", "mountPath": "/x", "subPath": "../y"}]),
                 f"{C}.volumeMounts[0].subPath: Invalid value: \"../y\": must not contain '..'"),
    "probe handler": (container(livenessProbe={}), f"{C}.livenessProbe: Required value: must specify a handler type"),
    "probe empty": (container(readinessProbe={"periodSeconds": 3}), f"{C}.readinessProbe: Required value: must specify "
                    "a handler type"),
    "probe both": (container(livenessProbe={"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}}),
                   f"{C}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"),
    "probe command": (container(livenessProbe={"exec": {}}), f"{C}.livenessProbe.exec.command: Required value"),
    "probe port": (container(livenessProbe={"httpGet": {"port": 0}}), f"{C}.livenessProbe.httpGet.port: Invalid value: "
                   "0: must be between 1 and 65535, inclusive"),
    "probe success": (container(livenessProbe={"tcpSocket": {"port": 1}, "successThreshold": 2}),
                      f"{C}.livenessProbe.successThreshold: Invalid value: 2: must be 1"),
    "probe negative": (container(startupProbe={"tcpSocket": {"port": 1}, "initialDelaySeconds": -1}),
                       f"{C}.startupProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0"),
    "request over limit": (container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
                           f'{C}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'),
    "bad quantity": (container(resources={"limits": {"memory": "1GiB"}}), f"{C}.resources.limits[memory]: Invalid "
                     'value: "1GiB": quantities must match the regular expression'),
    "negative": (container(resources={"limits": {"cpu": "-1"}}), f'{C}.resources.limits[cpu]: Invalid value: "-1": '
                 "must be greater than or equal to 0"),
    "unknown resource": (container(resources={"limits": {"ram": "1"}}), f'{C}.resources.limits: Invalid value: "ram": '
                         "must be a standard resource type or fully qualified"),
    "half a device": (container(resources={"limits": {"a.com/gpu": "500m"}}), "must be an integer"),
    "privileged": (container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
                   "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
    "run as": (spec(securityContext={"runAsUser": -1}), "spec.securityContext.runAsUser: Invalid value: -1: must be "
               "between 0 and 2147483647, inclusive"),
    "sysctl": (spec(securityContext={"sysctls": [{"name": "Bad!", "value": "1"}]}),
               'spec.securityContext.sysctls[0].name: Invalid value: "Bad!"'),
    "init probe": (spec(initContainers=[{"name": "i", "image": "x", "livenessProbe": {"tcpSocket": {"port": 1}}}]),
                   "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
                   "restartPolicy=Always"),
    "sidecar probe": (spec(initContainers=[{"name": "i", "image": "x", "restartPolicy": "Always",
                                            "livenessProbe": {"tcpSocket": {"port": 1}}}]), None),
    "init name": (spec(initContainers=[{"name": "c", "image": "x"}]),
                  'spec.initContainers[0].name: Duplicate value: "c"'),
    "ephemeral": (spec(ephemeralContainers=[{"name": "e", "image": "x"}]),
                  "spec.ephemeralContainers: Forbidden: cannot be set on create"),
    "volume twice": (spec(volumes=[{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]),
                     'spec.volumes[1].name: Duplicate value: "v"'),
    "two sources": (spec(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]),
                    "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"),
    "host path": (spec(volumes=[{"name": "v", "hostPath": {"path": ""}}]), "spec.volumes[0].hostPath.path: Required"),
    "host path type": (spec(volumes=[{"name": "v", "hostPath": {"path": "/", "type": "X"}}]),
                       'spec.volumes[0].hostPath.type: Unsupported value: "X"'),
    "secret name": (spec(volumes=[{"name": "v", "secret": {}}]), "spec.volumes[0].secret.secretName: Required value"),
    "mode": (spec(volumes=[{"name": "v", "configMap": {"name": "c", "defaultMode": 4096}}]),
             "spec.volumes[0].configMap.defaultMode: Invalid value: 4096: must be a number between 0 and 0777 (octal)"),
    "item path": (spec(volumes=[{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "/x"}]}}]),
                  'spec.volumes[0].configMap.items[0].path: Invalid value: "/x": must be a relative path'),
    "token time": (spec(volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {
        "path": "t", "expirationSeconds": 5}}]}}]), "may not specify a duration less than 10 minutes"),
    "toleration": (spec(tolerations=[{"operator": "Equal"}]), 'spec.tolerations[0].operator: Invalid value: "Equal": '
                   "operator must be Exists when `key` is empty"),
    "toleration seconds": (spec(tolerations=[{"key": "a", "operator": "Exists", "tolerationSeconds": 1}]),
                           "effect must be 'NoExecute' when `tolerationSeconds` is set"),
    "affinity weight": (spec(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 0, "preference": {}}]}}), "[0].weight: Invalid value: 0: must be in the range 1-100"),
    "affinity terms": (spec(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}),
                       "nodeSelectorTerms: Required value: must have at least one node selector term"),
    "anti-affinity key": (spec(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}),
                          "topologyKey: Required value: can not be empty"),
    "spread": (spec(topologySpreadConstraints=[{"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]),
               "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"),
    "host alias": (spec(hostAliases=[{"ip": "x"}]), 'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP'),
    "account": (spec(serviceAccountName="A"), 'spec.serviceAccountName: Invalid value: "A"'),
    "gates and node": (spec(schedulingGates=[{"name": "a"}], nodeName="n"), "spec.nodeName: Forbidden: cannot be set "
                       "until all schedulingGates have been cleared"),
}


@pytest.mark.parametrize("change,expected", CASES.values(), ids=CASES.keys())
def test_one_mistake_one_error(change, expected):
    found = errors(change)
    if expected is None:
        assert found == []
    else:
        assert any(expected in text for text in found), found
        assert len(set(found)) <= 4, found


def test_a_good_pod_has_no_errors():
    assert errors(lambda pod: None) == []
    assert errors(container(
        ports=[{"containerPort": 80, "name": "http"}, {"containerPort": 80, "protocol": "UDP"}],
        env=[{"name": "A", "value": "b"},
             {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}],
        volumeMounts=[{"name": "v", "mountPath": "/x"}], livenessProbe={"httpGet": {"port": "http"}},
        lifecycle={"preStop": {"sleep": {"seconds": 3}}},
        resources={"requests": {"cpu": "100m", "a.com/gpu": "1"}, "limits": {"cpu": "1", "a.com/gpu": "1"}})) == []
