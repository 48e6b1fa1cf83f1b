"""A query -> a reply, or the question to ask elsewhere.

Nearly all queries are for the cluster's own names (or for what the search path makes of others), so these are answered
without a task and without waiting; only what has to be asked of others takes the slow way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sampan.dns import message
from sampan.dns.forward import Forwarder
from sampan.dns.message import FORMERR, NOERROR, NXDOMAIN, SERVFAIL, A, BadQuery, Query
from sampan.dns.zone import Answer, Zone

MAX_CNAMES = 8


class Responder:
    """``quick`` first; what it returns unanswered goes to ``slow``.

    While ``ready`` is off the cluster's names are not all known: "no such name" would be a lie that clients remember.
    """

    def __init__(self, zone: Zone, forwarder: Forwarder) -> None:
        self._zone = zone
        self._forwarder = forwarder
        self._turn = 0
        self.ready = True

    def quick(self, data: bytes, *, udp: bool) -> bytes | Query | None:
        """The reply; or the query, when others must be asked; or None, when silence is the answer."""
        try:
            query = message.parse_query(data)
        except BadQuery as bad:
            return None if bad.code is None else message.refusal(data, bad.code)
        answer = self._zone.lookup(query.name, query.type)
        if answer is None or answer.cname:
            return query
        if answer.code == NXDOMAIN and not self.ready:
            return message.reply(query, SERVFAIL, (), authoritative=False)
        return self._reply(query, replace(answer, answers=self._rotated(answer.answers, query.type)), udp)

    async def slow(self, query: Query, *, udp: bool) -> bytes:
        """Ask others, or follow an ExternalName."""
        answer = self._zone.lookup(query.name, query.type)
        if answer is None:
            return await self._forward(query, udp)
        return self._reply(query, await self._followed(query, answer), udp)

    async def _forward(self, query: Query, udp: bool) -> bytes:
        found = await self._forwarder.ask(query.name, query.type)
        if found is None:
            return message.reply(query, SERVFAIL, (), authoritative=False)
        if udp and len(found) > query.udp_bytes:
            return message.truncated(query)
        return message.for_query(found, query)

    async def _followed(self, query: Query, answer: Answer) -> Answer:
        """The CNAME and, after it, what its target leads to, here or elsewhere; at last an address or nothing."""
        answers, code = list(answer.answers), NOERROR
        for _ in range(MAX_CNAMES):
            target = answer.cname
            if not target:
                break
            inside = self._zone.lookup(target, query.type)
            if inside is None:
                code, more = await self._outside(target, query.type)
                return Answer(code, (*answers, *more))
            found = inside.answers if inside.cname else self._rotated(inside.answers, query.type)
            answers += [target + record[2:] for record in found]  # under the target's name
            code, answer = (NXDOMAIN if inside.code == NXDOMAIN else NOERROR), inside
        return Answer(code, tuple(answers))

    async def _outside(self, target: bytes, kind: int) -> tuple[int, Sequence[bytes]]:
        found = await self._forwarder.ask(target, kind)
        if found is None:
            return SERVFAIL, ()
        try:
            return message.sections(found)[0] & 0xF, message.answers_of(found)
        except ValueError:
            return SERVFAIL, ()

    def _rotated(self, answers: tuple[bytes, ...], kind: int) -> tuple[bytes, ...]:
        """Many clients take the first address: begin with another one each time. A CNAME must stay in front of them."""
        if len(answers) < 2 or kind != A:
            return answers
        self._turn = (self._turn + 1) % len(answers)
        return answers[self._turn :] + answers[: self._turn]

    def _reply(self, query: Query, answer: Answer, udp: bool) -> bytes:
        limit = query.udp_bytes if udp else 65535
        return message.reply(query, answer.code, answer.answers, answer.authority, answer.additional, max_bytes=limit)


def failure(data: bytes) -> bytes:
    """When answering went wrong: better a quick no than a client that waits five seconds."""
    return message.refusal(data, SERVFAIL if len(data) >= 12 else FORMERR)
