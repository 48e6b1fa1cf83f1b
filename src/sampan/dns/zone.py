"""All names of the cluster, ready to answer.

A name that exists without a record of the type asked for is "no data"; a name that does not exist, and has nothing
below it either, is NXDOMAIN.  Resolvers treat the two differently (NXDOMAIN ends the search for other types), so the
zone counts, for each name, how many others lie below it.

Answers are prepared once per name and type and dropped when a Service with that name changes.

Upstream: CoreDNS' plugin/kubernetes.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sampan.dns import message
from sampan.dns.message import ANY, CNAME, NOERROR, NS, NXDOMAIN, QUESTION_NAME, SOA, A
from sampan.dns.records import Record, version_record

TTL_SECONDS = 5
_APEX = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply consists of. ``cname`` is the target that is to be followed, in wire form."""

    code: int
    answers: tuple[bytes, ...] = ()
    authority: tuple[bytes, ...] = ()
    additional: tuple[bytes, ...] = ()
    cname: bytes = b""


class Zone:
    """Names below ``domain``, and the reverse names of what they lead to."""

    def __init__(self, domain: str, addresses: Iterable[str] = (), ttl: int = TTL_SECONDS) -> None:
        """``addresses`` are the DNS server's own, for the zone's NS record."""
        self._ttl = ttl
        self._apex = message.wire_name(domain)
        self._pod_suffix = message.wire_name(f"pod.{domain}")
        self._records: dict[bytes, dict[int, dict[str, list[Record]]]] = {}  # name -> type -> Service -> records
        self._below: Counter[bytes] = Counter()
        self._names: dict[str, set[bytes]] = {}
        self._prepared: dict[bytes, dict[int, Answer]] = {}
        self._soa = self._soa_record(domain)
        self._empty = Answer(NOERROR, authority=(self._soa,))
        self._missing = Answer(NXDOMAIN, authority=(self._soa,))
        self.update(_APEX, self._own_records(domain, addresses))

    def update(self, service: str, records: Iterable[Record]) -> None:
        """The Service's records are exactly these from now on."""
        for name in self._names.pop(service, set()):
            self._remove(service, name)
        names = set()
        for record in records:
            try:
                name = message.wire_name(record.name)
            except ValueError:  # longer than DNS allows
                continue
            if name not in self._records:
                self._records[name] = {}
                self._below.update(message.ancestors(name))
            self._records[name].setdefault(record.type, {}).setdefault(service, []).append(record)
            self._prepared.pop(name, None)
            names.add(name)
        if names:
            self._names[service] = names

    def lookup(self, name: bytes, kind: int) -> Answer | None:
        """The answer for a name in lower-case wire form; None when the name is not ours to answer."""
        prepared = self._prepared.get(name)
        if prepared is not None and (answer := prepared.get(kind)) is not None:
            return answer
        if name in self._records:
            return self._prepare(name, kind)
        if not self.contains(name):
            return None
        if (address := self._pod_address(name)) is not None:
            found = (self._record(QUESTION_NAME, A, address),)
            return Answer(NOERROR, found) if kind in (A, ANY) else self._empty
        return self._empty if self._below[name] or name == self._apex else self._missing

    def contains(self, name: bytes) -> bool:
        """Whether the name is the domain or below it."""
        return name.endswith(self._apex) and (name == self._apex or self._apex in message.ancestors(name))

    def _remove(self, service: str, name: bytes) -> None:
        by_type = self._records[name]
        for kind in list(by_type):
            by_type[kind].pop(service, None)
            if not by_type[kind]:
                del by_type[kind]
        self._prepared.pop(name, None)
        if not by_type:
            del self._records[name]
            self._below.subtract(message.ancestors(name))
            for ancestor in message.ancestors(name):
                if not self._below[ancestor]:
                    del self._below[ancestor]

    def _prepare(self, name: bytes, kind: int) -> Answer:
        by_type = self._records[name]
        if CNAME in by_type and kind not in (CNAME, ANY):
            (record,) = [r for records in by_type[CNAME].values() for r in records][:1]
            answer = Answer(NOERROR, (self._record(QUESTION_NAME, CNAME, record.data),), cname=record.data)
        else:
            answer = self._plain(by_type, kind)
        self._prepared.setdefault(name, {})[kind] = answer
        return answer

    def _plain(self, by_type: dict[int, dict[str, list[Record]]], kind: int) -> Answer:
        kinds = list(by_type) if kind == ANY else [k for k in (kind,) if k in by_type]
        found = [r for k in kinds for records in by_type[k].values() for r in records]
        if not found:
            return self._empty
        # A dict keeps the order and drops what two Services say alike.
        answers = dict.fromkeys(self._record(QUESTION_NAME, r.type, r.data) for r in found)
        targets = dict.fromkeys(r.target for r in found if r.target)
        return Answer(NOERROR, tuple(answers), additional=tuple(a for t in targets for a in self._addresses(t)))

    def _addresses(self, name: str) -> list[bytes]:
        """A records of an SRV's target, under its own name. Both are of one Service: a change of the one enters the
        other anew as well, so that a prepared answer is never out of date."""
        wire = message.wire_name(name)
        by_service = self._records.get(wire, {}).get(A, {})
        return [self._record(wire, A, r.data) for records in by_service.values() for r in records]

    def _pod_address(self, name: bytes) -> bytes | None:
        """``10-244-0-7.default.pod.cluster.local``: the name says the address itself (CoreDNS: ``pods insecure``)."""
        if not name.endswith(self._pod_suffix):
            return None
        labels = message.labels_of(name)
        if len(labels) != len(message.labels_of(self._pod_suffix)) + 2:
            return None
        try:
            return socket.inet_pton(socket.AF_INET, labels[0].replace(b"-", b".").decode("ascii"))
        except (OSError, UnicodeDecodeError):
            return None

    def _record(self, name: bytes, kind: int, data: bytes) -> bytes:
        return message.record(name, kind, self._ttl, data)

    def _soa_record(self, domain: str) -> bytes:
        # The serial says nothing (there are no zone transfers); the last number is how long "no" may be remembered.
        numbers = struct.pack(">IIIII", 1, 7200, 1800, 86400, self._ttl)
        names = message.wire_name(f"ns.dns.{domain}") + message.wire_name(f"hostmaster.{domain}")
        return self._record(self._apex, SOA, names + numbers)

    def _own_records(self, domain: str, addresses: Iterable[str]) -> list[Record]:
        server = f"ns.dns.{domain}"
        soa_data = self._soa[len(self._apex) + 10 :]
        own = [version_record(domain), Record(domain, SOA, soa_data), Record(domain, NS, message.wire_name(server))]
        return own + [Record(server, A, socket.inet_aton(a)) for a in addresses]
