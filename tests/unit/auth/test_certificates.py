"""The PKI's files: what they say, and that a second start keeps them."""

import stat
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sampan.auth.certificates import ensure_token_keys, load_authority, write_node_pki, write_pki

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)
SANS = ("kubernetes", "kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", "10.96.0.1")
PAIRS = ("ca", "front-proxy-ca", "front-proxy-client", "apiserver", "apiserver-kubelet-client", "admin",
         "controller-manager", "scheduler", "kube-proxy")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pki")
    write_pki(directory, server_sans=SANS, now=NOW)
    return directory


def read(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_files_are_kubeadms_and_private(pki):
    expected = {f"{name}.{end}" for name in PAIRS for end in ("crt", "key")} | {"sa.key", "sa.pub"}
    assert set(files(pki)) == expected
    assert {stat.S_IMODE(path.stat().st_mode) for path in pki.iterdir()} == {0o600}


@pytest.mark.parametrize("name,common_name,organizations", [
    ("apiserver", "kube-apiserver", []), ("admin", "kubernetes-admin", ["system:masters"]),
    ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"]),
    ("controller-manager", "system:kube-controller-manager", []), ("scheduler", "system:kube-scheduler", []),
])
def test_what_a_certificate_says(pki, name, common_name, organizations):
    certificate = read(pki / f"{name}.crt")
    certificate.verify_directly_issued_by(read(pki / "ca.crt"))
    assert [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [common_name]
    assert [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == organizations
    use = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(use) == [ExtendedKeyUsageOID.SERVER_AUTH if name == "apiserver" else ExtendedKeyUsageOID.CLIENT_AUTH]
    key = load_pem_private_key((pki / f"{name}.key").read_bytes(), None)
    assert key.public_key() == certificate.public_key()


def test_the_server_has_its_names(pki):
    names = read(pki / "apiserver.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == list(SANS[:3])
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == list(SANS[3:])


def test_the_ca_may_sign_and_nobody_else(pki):
    for name, is_ca in (("ca", True), ("apiserver", False), ("admin", False)):
        constraints = read(pki / f"{name}.crt").extensions.get_extension_for_class(x509.BasicConstraints).value
        assert constraints.ca is is_ca


def test_token_keys_belong_together(pki):
    private = load_pem_private_key((pki / "sa.key").read_bytes(), None)
    assert private.public_key() == load_pem_public_key((pki / "sa.pub").read_bytes())
    assert private.key_size == 2048


def test_a_second_start_keeps_everything(pki):
    before = files(pki)
    write_pki(pki, server_sans=SANS, now=NOW + timedelta(days=300))
    assert files(pki) == before


def test_what_ends_within_thirty_days_is_renewed_but_never_the_ca_or_token_keys(pki, tmp_path):
    copy(pki, tmp_path)
    before = files(tmp_path)
    write_pki(tmp_path, server_sans=SANS, now=NOW + timedelta(days=340))
    after = files(tmp_path)
    same = {name for name in after if after[name] == before[name]}
    assert same == {"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"}


def test_a_new_name_of_the_server_makes_a_new_certificate(pki, tmp_path):
    copy(pki, tmp_path)
    before = files(tmp_path)
    write_pki(tmp_path, server_sans=(*SANS, "10.0.0.7"), now=NOW)
    changed = {name for name, data in files(tmp_path).items() if data != before[name]}
    assert changed == {"apiserver.crt", "apiserver.key"}


@pytest.mark.parametrize("lost", ["apiserver.crt", "apiserver.key", "sa.pub"])
def test_a_lost_file_is_made_again(pki, tmp_path, lost):
    copy(pki, tmp_path)
    (tmp_path / lost).unlink()
    write_pki(tmp_path, server_sans=SANS, now=NOW)
    assert set(files(tmp_path)) == set(files(pki))
    ensure_token_keys(tmp_path)
    assert files(tmp_path)["sa.key"] == files(pki)["sa.key"]


def test_a_certificate_of_another_ca_is_replaced(pki, tmp_path):
    write_pki(tmp_path, server_sans=SANS, now=NOW)
    for end in ("crt", "key"):
        (tmp_path / f"apiserver.{end}").write_bytes((pki / f"apiserver.{end}").read_bytes())
    write_pki(tmp_path, server_sans=SANS, now=NOW)
    read(tmp_path / "apiserver.crt").verify_directly_issued_by(read(tmp_path / "ca.crt"))


def test_a_nodes_certificates(pki, tmp_path):
    write_node_pki(tmp_path, load_authority(pki / "ca"), "n1", ["172.29.0.2"], NOW)
    client = read(tmp_path / "kubelet-client.crt").subject
    assert client.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
    names = read(tmp_path / "kubelet.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1"]


def test_it_is_quick_apart_from_rsa(pki, tmp_path):
    for name in ("sa.key", "sa.pub"):
        (tmp_path / name).write_bytes((pki / name).read_bytes())
    started = time.process_time()
    write_pki(tmp_path, server_sans=SANS, now=NOW)
    assert time.process_time() - started < 0.15


def copy(source, target):
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
