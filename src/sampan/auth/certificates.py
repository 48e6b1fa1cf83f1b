"""The cluster's keys: a CA, what it signs, and the key pair of ServiceAccount tokens.

EC P-256 throughout (a key takes a millisecond), but RSA-2048 for tokens, which upstream signs with RS256.  File names
are kubeadm's; every file is 0600.  Everything may be called again: what exists and lasts is kept, what expires within
30 days or lacks a name is made anew, the CA and the token key are never replaced.

Upstream: ``cmd/kubeadm/app/phases/certs``.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA_DAYS, LEAF_DAYS, RENEW_BEFORE_DAYS = 3650, 365, 30
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """What a certificate is made for. ``sans`` are DNS names and IP addresses; ``server`` adds server use."""

    common_name: str
    organizations: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()
    server: bool = False
    client: bool = True


class Authority:
    """A CA that signs."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    @classmethod
    def create(cls, common_name: str, now: datetime) -> Authority:
        from cryptography import x509

        key = _new_key()
        name = _name(common_name, ())
        builder = _builder(name, name, key, now, CA_DAYS).add_extension(x509.BasicConstraints(True, None), True)
        builder = builder.add_extension(_usage(ca=True), True).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(common_name)]), False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        return cls(_signed(builder, key, key))

    def issue(self, identity: Identity, now: datetime) -> Pair:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509.oid import ExtendedKeyUsageOID as Use

        authority = x509.load_pem_x509_certificate(self.pair.certificate)
        key = _new_key()
        builder = _builder(_name(identity.common_name, identity.organizations), authority.subject, key, now, LEAF_DAYS)
        uses = [Use.SERVER_AUTH] * identity.server + [Use.CLIENT_AUTH] * identity.client
        builder = builder.add_extension(x509.BasicConstraints(False, None), True).add_extension(_usage(), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), False)
        if identity.sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(identity.sans)), False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())  # type: ignore[arg-type]
        signer = load_pem_private_key(self.pair.key, None)
        return _signed(builder.add_extension(identifier, False), key, signer)  # type: ignore[arg-type]


def write_pki(directory: Path, *, server_sans: Iterable[str], now: datetime | None = None) -> None:
    """Everything a control plane needs, under kubeadm's names: CAs, serving and client certificates, token keys.

    Also the client certificates that kubeadm puts into kubeconfig files: admin, controller-manager, scheduler,
    kube-proxy.
    """
    now = now or datetime.now(UTC)
    authority = ensure_authority(directory / "ca", "kubernetes", now)
    front = ensure_authority(directory / "front-proxy-ca", "front-proxy-ca", now)
    for file, identity in identities(tuple(server_sans)).items():
        ensure_certificate(directory / file, authority, identity, now)
    ensure_certificate(directory / "front-proxy-client", front, Identity("front-proxy-client"), now)
    ensure_token_keys(directory)


def identities(server_sans: tuple[str, ...]) -> dict[str, Identity]:
    """File name -> what its certificate says."""
    return {
        "apiserver": Identity("kube-apiserver", sans=server_sans, server=True, client=False),
        "apiserver-kubelet-client": Identity("kube-apiserver-kubelet-client", ("system:masters",)),
        "admin": Identity("kubernetes-admin", ("system:masters",)),
        "controller-manager": Identity("system:kube-controller-manager"),
        "scheduler": Identity("system:kube-scheduler"),
        "kube-proxy": Identity("system:kube-proxy"),
    }


def write_node_pki(directory: Path, authority: Authority, node: str, addresses: Iterable[str],
                   now: datetime | None = None) -> None:
    """A kubelet's serving certificate (``kubelet.crt``) and its client identity (``kubelet-client.crt``)."""
    now = now or datetime.now(UTC)
    name, group = f"system:node:{node}", ("system:nodes",)
    ensure_certificate(directory / "kubelet", authority,
                       Identity(name, group, (node, *addresses), server=True, client=False), now)
    ensure_certificate(directory / "kubelet-client", authority, Identity(name, group), now)


def load_authority(base: Path) -> Authority:
    """``base`` is the path without suffix: ``pki/ca``."""
    return Authority(_read(base))


def ensure_authority(base: Path, common_name: str, now: datetime) -> Authority:
    """Existing files are taken as they are: replacing a CA would cut off everybody."""
    if _paths(base)[0].exists():
        return load_authority(base)
    authority = Authority.create(common_name, now)
    _write(base, authority.pair)
    return authority


def ensure_certificate(base: Path, authority: Authority, identity: Identity, now: datetime) -> bool:
    """Returns whether a new one was made."""
    if all(path.exists() for path in _paths(base)) and _lasts(_read(base), authority, identity, now):
        return False
    _write(base, authority.issue(identity, now))
    return True


def ensure_token_keys(directory: Path) -> None:
    """``sa.key`` and ``sa.pub``: RSA-2048; the public one can always be had from the private one."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    from sampan.auth.keys import load_private

    private, public = directory / "sa.key", directory / "sa.pub"
    if not private.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write_file(private, key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        public.unlink(missing_ok=True)
    if not public.exists():
        public_key = load_private(private.read_bytes()).public_key()
        _write_file(public, public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _lasts(pair: Pair, authority: Authority, identity: Identity, now: datetime) -> bool:
    """Still good for 30 days, from this CA, and for every name and group asked for."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    certificate = x509.load_pem_x509_certificate(pair.certificate)
    issuer = x509.load_pem_x509_certificate(authority.pair.certificate)
    if certificate.not_valid_after_utc <= now + timedelta(days=RENEW_BEFORE_DAYS):
        return False
    if certificate.subject != _name(identity.common_name, identity.organizations):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # whatever is wrong with the file on disk, a new certificate mends it
        return False
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return set(identity.sans) <= _alternatives_of(certificate)


def _alternatives_of(certificate: x509.Certificate) -> set[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def _alternatives(names: Iterable[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    def alternative(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    return [alternative(name) for name in dict.fromkeys(names)]


def _name(common_name: str, organizations: tuple[str, ...]) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _builder(subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime,
             days: int) -> x509.CertificateBuilder:
    from cryptography import x509

    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - _SKEW)
            .not_valid_after(now + timedelta(days=days)))


def _usage(*, ca: bool = False) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(digital_signature=True, content_commitment=False, key_encipherment=not ca,
                         data_encipherment=False, key_agreement=False, key_cert_sign=ca, crl_sign=ca,
                         encipher_only=False, decipher_only=False)


def _signed(builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey, signer: EllipticCurvePrivateKey) -> Pair:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    certificate = builder.sign(signer, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), private)


def _paths(base: Path) -> tuple[Path, Path]:
    """Not ``with_suffix``: a name may hold dots."""
    return base.parent / f"{base.name}.crt", base.parent / f"{base.name}.key"


def _read(base: Path) -> Pair:
    certificate, key = _paths(base)
    return Pair(certificate.read_bytes(), key.read_bytes())


def _write(base: Path, pair: Pair) -> None:
    """The key first: a certificate without its key would be taken for a whole pair."""
    certificate, key = _paths(base)
    certificate.unlink(missing_ok=True)
    _write_file(key, pair.key)
    _write_file(certificate, pair.certificate)


def _write_file(path: Path, data: bytes) -> None:
    """All or nothing, and never readable by others, not for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
