import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcaster.authority import Authority
from broadcaster.key_files import (
    AUTHORITY_CERTIFICATE,
    AUTHORITY_KEY,
    CONSOLE_KEY,
    DIRECTOR_KEY,
    IMAGE_KEY,
    KEY_FILES,
    TRUST,
)
from broadcaster.keys import KeyStore, read_signing_key
from protocol.errors import ConfigError
from protocol.signing import Purpose, SigningKey, fingerprint, verify
from protocol.trust import MAX_IMAGE_KEYS, Trust, decode_trust, encode_trust, follows
from tests.broadcaster.library.disks import tree


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore.open_or_create(tmp_path / "keys")


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


def refusal(folder: Path) -> str:
    """The one line with which a folder of keys is refused, by both ways to open it, and nothing is changed."""
    before = tree(folder)
    with pytest.raises(ConfigError) as first:
        KeyStore.open(folder)
    with pytest.raises(ConfigError) as second:
        KeyStore.open_or_create(folder)
    assert tree(folder) == before
    assert str(first.value) == str(second.value)
    assert "\n" not in str(first.value)
    return str(first.value)


def pem_of(key: SigningKey) -> bytes:
    return key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_keys_are_made_at_first_need_and_stay(store: KeyStore) -> None:
    for again in (KeyStore.open(store.folder), KeyStore.open_or_create(store.folder)):
        assert again.trust == store.trust
        assert again.director.public == store.director.public == store.trust.director_key
        assert again.image is not None
        assert (again.image.public,) == store.trust.image_keys
        assert again.authority.certificate == store.authority.certificate == store.trust.authority
        assert again.authority.private_key == store.authority.private_key
    assert decode_trust((store.folder / TRUST).read_bytes()) == store.trust
    assert store.trust.serial == 1
    assert store.director.public != store.trust.image_keys[0]


def test_opening_makes_nothing(tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match=r"no keys in .*: 'slatecast keys init' makes them"):
            KeyStore.open(folder)
    assert list(tmp_path.iterdir()) == []


def test_two_folders_have_other_keys(tmp_path: Path) -> None:
    one, other = (KeyStore.open_or_create(tmp_path / name) for name in ("one", "other"))
    assert one.director.public != other.director.public
    assert one.trust.image_keys != other.trust.image_keys
    assert one.trust.authority != other.trust.authority


def test_the_image_key_may_be_kept_elsewhere(store: KeyStore, tmp_path: Path) -> None:
    signer = store.image
    assert signer is not None
    (store.folder / IMAGE_KEY).rename(tmp_path / "stick.key")
    for again in (KeyStore.open(store.folder), KeyStore.open_or_create(store.folder)):
        assert again.image is None
        assert again.trust.image_keys == (signer.public,)
    assert not (store.folder / IMAGE_KEY).exists()
    assert read_signing_key(tmp_path / "stick.key").public == signer.public


@pytest.mark.parametrize("name", [DIRECTOR_KEY, AUTHORITY_KEY, AUTHORITY_CERTIFICATE, TRUST])
def test_another_file_that_is_missing_is_never_made_anew(store: KeyStore, name: str) -> None:
    (store.folder / name).unlink()
    assert f"{name} is missing: restore it from a backup" in refusal(store.folder)


@pytest.mark.parametrize("name", [DIRECTOR_KEY, IMAGE_KEY, AUTHORITY_KEY])
def test_keys_that_others_can_read_are_refused(store: KeyStore, name: str) -> None:
    (store.folder / name).chmod(0o640)
    assert f"{name} can be read by other users: chmod 600 it" in refusal(store.folder)


@pytest.mark.parametrize("name", KEY_FILES)
@pytest.mark.parametrize("length", [0, 1, 40, -60])
def test_truncated_files_are_refused(store: KeyStore, name: str, length: int) -> None:
    put(store.folder / name, (store.folder / name).read_bytes()[:length])
    refusal(store.folder)


FOREIGN: dict[str, Callable[[], bytes]] = {
    "another key": lambda: pem_of(SigningKey(bytes(32))),
    "x25519": lambda: x25519.X25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ),
    "p-256": lambda: ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ),
    "encrypted": lambda: SigningKey(bytes(32)).private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    ),
    "openssh": lambda: SigningKey(bytes(32)).private_key.private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    ),
    "raw": lambda: bytes(32),
    "text": lambda: b"dear reader",
}


@pytest.mark.parametrize("name", [DIRECTOR_KEY, IMAGE_KEY, AUTHORITY_KEY])
@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_keys_are_refused(store: KeyStore, name: str, kind: str) -> None:
    put(store.folder / name, FOREIGN[kind]())
    refusal(store.folder)


@pytest.mark.parametrize("name", KEY_FILES)
def test_files_of_another_broadcaster_are_refused(store: KeyStore, tmp_path: Path, name: str) -> None:
    other = KeyStore.open_or_create(tmp_path / "other")
    put(store.folder / name, (other.folder / name).read_bytes())
    said = refusal(store.folder)
    assert "backup" in said or "key" in said


def test_the_authority_of_another_broadcaster_is_refused(store: KeyStore, tmp_path: Path) -> None:
    other = KeyStore.open_or_create(tmp_path / "other")
    for name in (AUTHORITY_CERTIFICATE, AUTHORITY_KEY):
        put(store.folder / name, (other.folder / name).read_bytes())
    assert f"{AUTHORITY_CERTIFICATE} is not the authority of" in refusal(store.folder)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(KEY_FILES), place=st.integers(0, 10_000), value=st.integers(1, 255))
def test_a_mutated_file_is_refused_or_means_the_same(store: KeyStore, name: str, place: int, value: int) -> None:
    path = store.folder / name
    good = path.read_bytes()
    bad = bytearray(good)
    bad[place % len(bad)] ^= value
    put(path, bytes(bad))
    again = None
    with suppress(ConfigError):
        again = KeyStore.open(store.folder)
    put(path, good)
    if again is not None:  # a line end or a letter that no decoder looks at
        assert again.trust == store.trust
        assert again.director.public == store.director.public


def test_a_new_director_is_followed(store: KeyStore) -> None:
    known, old = store.trust, store.director
    store.rotate_director()
    assert store.trust == KeyStore.open(store.folder).trust
    assert store.director.public == store.trust.director_key != old.public
    assert (store.trust.image_keys, store.trust.authority) == (known.image_keys, known.authority)
    store.rotate_director()
    assert follows(store.trust, known)
    assert not follows(known, store.trust)
    assert pem_of(old) not in [path.read_bytes() for path in store.folder.iterdir()]


def test_a_new_image_key_beside_the_old_one(store: KeyStore) -> None:
    known = store.trust
    store.rotate_image()
    assert store.image is not None
    assert store.trust.image_keys == (store.image.public, *known.image_keys)
    assert follows(store.trust, known)
    store.rotate_image(keep_old=False)
    assert store.trust.image_keys == (store.image.public,)
    assert follows(store.trust, known)


@pytest.mark.slow
def test_no_more_image_keys_than_a_trust_can_name(store: KeyStore) -> None:
    for _ in range(MAX_IMAGE_KEYS - 1):
        store.rotate_image()
    with pytest.raises(ConfigError, match="revoke"):
        store.rotate_image()
    assert len(KeyStore.open(store.folder).trust.image_keys) == MAX_IMAGE_KEYS


def test_an_image_key_is_revoked(store: KeyStore) -> None:
    known = store.trust
    (old,) = known.image_keys
    store.rotate_image()
    store.revoke_image(fingerprint(old))
    assert store.image is not None
    assert store.trust.image_keys == (store.image.public,)
    assert follows(store.trust, known)
    assert not follows(known, store.trust)


def test_keys_in_use_and_unknown_ones_are_not_revoked(store: KeyStore) -> None:
    before = tree(store.folder)
    with pytest.raises(ConfigError, match="in use"):
        store.revoke_image(fingerprint(store.trust.image_keys[0]))
    with pytest.raises(ConfigError, match="none of the image keys"):
        store.revoke_image(bytes(16))
    (store.folder / IMAGE_KEY).unlink()
    with pytest.raises(ConfigError, match="in use"):
        store.revoke_image(fingerprint(store.trust.image_keys[0]))
    store.rotate_image()
    assert store.image is not None
    with pytest.raises(ConfigError, match="in use"):
        store.revoke_image(fingerprint(store.image.public))
    assert tree(store.folder) != before


def test_a_change_starts_from_what_is_there_now(store: KeyStore) -> None:
    other = KeyStore.open(store.folder)
    (first,) = store.trust.image_keys
    store.rotate_director()
    other.rotate_image()
    assert other.trust.serial == 3
    assert other.trust.director_key == store.trust.director_key
    assert follows(other.trust, store.trust)
    store.rotate_director()
    assert (store.trust.serial, store.trust.image_keys) == (4, other.trust.image_keys)
    other.revoke_image(fingerprint(first))
    assert (other.trust.serial, other.trust.director_key) == (5, store.trust.director_key)


def test_a_change_that_a_crash_left_decided_is_completed(store: KeyStore) -> None:
    director = SigningKey(bytes(32))
    put(store.folder / f"{DIRECTOR_KEY}.new", pem_of(director))
    trust = Trust(
        director_key=director.public, image_keys=store.trust.image_keys, authority=store.trust.authority, serial=2
    )
    assert KeyStore.open(store.folder).director.public != director.public  # undecided, so it was undone
    put(store.folder / f"{DIRECTOR_KEY}.new", pem_of(director))
    put(store.folder / f"{TRUST}.new", encode_trust(trust))
    assert KeyStore.open(store.folder).director.public == director.public


def test_nothing_secret_is_shown(store: KeyStore) -> None:
    assert store.image is not None
    shown = repr(store) + str(store) + repr(store.director) + repr(store.image) + repr(store.trust)
    shown += repr(store.authority) + str(vars(store))
    shown += encode_trust(store.trust).decode()
    for secret in (store.director.private_key, store.image.private_key):
        raw = secret.private_bytes_raw()
        pem = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        for form in (raw.hex(), repr(raw), repr(raw)[2:-1], *pem.splitlines()[1:-1]):
            assert form not in shown
    for line in store.authority.private_key.decode().splitlines()[1:-1]:
        assert line not in shown


def test_a_key_file_elsewhere(tmp_path: Path) -> None:
    signer = SigningKey(bytes(range(32)))
    put(tmp_path / "key", pem_of(signer))
    read = read_signing_key(tmp_path / "key")
    verify(signer.public, Purpose.IMAGE, b"text", read.sign(Purpose.IMAGE, b"text"))
    with pytest.raises(ConfigError, match="no key at"):
        read_signing_key(tmp_path / "missing")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by other users"):
        read_signing_key(tmp_path / "key")


def test_the_authority_comes_back(store: KeyStore) -> None:
    loaded = Authority.load(store.authority.certificate, store.authority.private_key)
    assert loaded.certificate == store.trust.authority


CREATE = """
import sys
from pathlib import Path
from broadcaster.keys import KeyStore
sys.stdin.read(1)
print(KeyStore.open_or_create(Path(sys.argv[1])).trust.director_key.hex())
"""


@pytest.mark.system
@pytest.mark.slow
def test_processes_that_create_at_once_end_with_one_set(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE, str(tmp_path / "keys")]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.close()
    made = [process.stdout.read().strip() for process in processes if process.stdout is not None]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert set(made) == {KeyStore.open(tmp_path / "keys").trust.director_key.hex()}


def test_the_console_gets_its_key_when_it_is_first_asked_for_and_keeps_it(store: KeyStore) -> None:
    before = tree(store.folder)
    assert CONSOLE_KEY not in before
    other_process = KeyStore.open(store.folder)
    public = store.console.public
    assert (store.folder / CONSOLE_KEY).stat().st_mode & 0o777 == 0o600
    assert all(each.console.public == public for each in (store, other_process, KeyStore.open(store.folder)))
    assert {**before, CONSOLE_KEY: b""} == {**tree(store.folder), CONSOLE_KEY: b""}
    assert public not in (store.director.public, *store.trust.image_keys)


def test_the_console_key_outlives_a_change_of_the_others(store: KeyStore) -> None:
    public = store.console.public
    store.rotate_director()
    store.rotate_image()
    assert KeyStore.open(store.folder).console.public == public == store.console.public


def test_a_console_key_that_others_may_have_read_is_refused(store: KeyStore) -> None:
    assert store.console
    (store.folder / CONSOLE_KEY).chmod(0o644)
    with pytest.raises(ConfigError, match=r"console\.key can be read by other users: chmod 600"):
        _ = KeyStore.open(store.folder).console
    put(store.folder / CONSOLE_KEY, b"nonsense")
    with pytest.raises(ConfigError, match=r"console\.key is not an Ed25519 private key in PEM"):
        _ = KeyStore.open(store.folder).console


def test_a_console_key_that_was_half_made_is_made_again(store: KeyStore) -> None:
    put(store.folder / f"{CONSOLE_KEY}.new", b"hal")
    assert store.console.public == KeyStore.open(store.folder).console.public
    assert not (store.folder / f"{CONSOLE_KEY}.new").exists()
