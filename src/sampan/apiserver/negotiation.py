"""In which form does the client want the answer?  Reads ``Accept``.

Besides the media type, Kubernetes clients ask for a *transformation* with parameters of the media type:
``application/json;as=Table;v=v1;g=meta.k8s.io`` (kubectl get) or ``as=PartialObjectMetadata`` (metadata informers).
Clauses are tried in order of their ``q`` value, as written otherwise; the first one that can be served wins.  Except
that protobuf comes last: JSON is what we store, so whoever reads both gets it without any conversion.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/handlers/negotiation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sampan.api.errors import NotAcceptable

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_SERVED = (JSON, YAML, PROTOBUF)
_TRANSFORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


@dataclass(frozen=True, slots=True)
class Output:
    """``transform`` is ``""`` (as stored), ``Table`` or ``PartialObjectMetadata``; ``version`` that of meta.k8s.io."""

    media: str = JSON
    transform: str = ""
    version: str = ""


PLAIN = Output()


@dataclass(frozen=True, slots=True)
class Clause:
    media: str
    params: dict[str, str]
    quality: float = 1.0


@lru_cache(maxsize=256)
def parse_accept(header: str) -> tuple[Clause, ...]:
    """The clauses of an Accept header, best first; equal ones as written."""
    clauses = []
    for text in header.split(","):
        media, *rest = (part.strip() for part in text.split(";"))
        params = dict(part.split("=", 1) for part in rest if "=" in part)
        if media:
            clauses.append(Clause(media.lower(), params, _quality(params.pop("q", "1"))))
    return tuple(sorted(clauses, key=lambda clause: -clause.quality))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@lru_cache(maxsize=256)
def negotiate(header: str, transforms: bool = True) -> Output:
    """The best form we can serve. Raises: NotAcceptable."""
    if not header:
        return PLAIN
    outputs = [_serve(clause, transforms) for clause in parse_accept(header) if clause.quality > 0]
    for output in sorted(filter(None, outputs), key=lambda output: output.media == PROTOBUF):
        return output
    raise NotAcceptable("only the following media types are accepted: " + ", ".join(_SERVED))


def _serve(clause: Clause, transforms: bool) -> Output | None:
    media = {"*/*": JSON, "application/*": JSON}.get(clause.media, clause.media)
    if media not in _SERVED:
        return None
    transform = clause.params.get("as", "")
    if not transform:
        return Output(media)
    group, version = clause.params.get("g", ""), clause.params.get("v", "")
    if not transforms or transform not in _TRANSFORMS or group != "meta.k8s.io" or version not in ("v1", "v1beta1"):
        return None
    if media == PROTOBUF and transform == "Table":
        return None  # there is no such message
    return Output(media, transform.removesuffix("List") if transform != "Table" else transform, version)
