"""The keys of a broadcaster: made at first need, kept in one folder, and replaced so that receivers can follow.

Two Ed25519 keys that cannot do each other's work: the director orders disks to be overwritten, the image key says which
images may be written. The image key may be taken to another place once it was made; then images are added unsigned
and signed where it is. The authority issues the certificates of TLS. ``trust`` is the public side of all of them.
A third Ed25519 key signs what operators order at the console: the broadcaster alone knows its public half, receivers
need not, so it stands in no trust.

It refuses what somebody else could have read or put there, and what does not fit together. No text here, and no
representation, holds anything secret.
"""

import secrets
from pathlib import Path

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from broadcaster.authority import Authority
from broadcaster.key_files import (
    AUTHORITY_CERTIFICATE,
    AUTHORITY_KEY,
    CONSOLE_KEY,
    DIRECTOR_KEY,
    IMAGE_KEY,
    TRUST,
    KeyFolder,
    read_key_file,
)
from protocol.errors import ConfigError, MessageError
from protocol.signing import KEY_LENGTH, SigningKey, fingerprint
from protocol.trust import MAX_IMAGE_KEYS, Trust, decode_trust, encode_trust, succeed


class KeyStore:
    """All keys of a broadcaster, open; made by ``open`` and ``open_or_create`` only."""

    director: SigningKey
    """orders wipes and signs what the broadcaster says"""
    image: SigningKey | None
    """signs images; None where it is kept elsewhere"""
    authority: Authority
    """issues certificates"""
    trust: Trust
    """the public side"""

    def __init__(self, folder: KeyFolder) -> None:
        """Reads the keys; needs ``folder.locked``."""
        self._folder = folder
        self._console: SigningKey | None = None
        self._load()

    @property
    def folder(self) -> Path:
        """Where the keys are."""
        return self._folder.path

    @property
    def console(self) -> SigningKey:
        """Signs what operators order at the console; made when it is first asked for.

        Raises:
            ConfigError: it must not be used, or cannot be made.
        """
        if self._console is None:
            with self._folder.locked():
                pem = self._folder.read(CONSOLE_KEY)
                if pem is None:
                    pem = _encode(_draw())
                    self._folder.add_alone(CONSOLE_KEY, pem)
                self._console = _decode(pem, self.folder / CONSOLE_KEY)
        return self._console

    @classmethod
    def open(cls, folder: Path) -> "KeyStore":
        """The keys in ``folder``.

        Raises:
            ConfigError: none there, or they must not be used; the text says what to do.
        """
        files = KeyFolder(folder)
        if not files.has_keys():
            raise ConfigError(f"no keys in {folder}: 'slatecast keys init' makes them")
        with files.locked():
            return cls(files)

    @classmethod
    def open_or_create(cls, folder: Path) -> "KeyStore":
        """The keys in ``folder``, made if there are none yet.

        Raises:
            ConfigError: they must not be used, or the folder cannot be written or belongs to something else.
        """
        files = KeyFolder(folder)
        files.prepare()
        with files.locked():
            if not files.has_keys():
                _create(files)
            return cls(files)

    def rotate_director(self) -> None:
        """Replace the director key; receivers that know the one before follow, it itself is gone.

        Raises:
            ConfigError: the keys cannot be used or written.
        """
        with self._folder.locked():
            self._load()
            director = _draw()
            trust = succeed(self.trust, self.director, director_key=director.public)
            self._replace({DIRECTOR_KEY: _encode(director), TRUST: encode_trust(trust)})

    def rotate_image(self, *, keep_old: bool = True) -> None:
        """Make a new image key in the folder; with ``keep_old`` what earlier ones signed can still be cast.

        Raises:
            ConfigError: as ``rotate_director``, or there are MAX_IMAGE_KEYS already.
        """
        with self._folder.locked():
            self._load()
            old = self.trust.image_keys if keep_old else ()
            if len(old) == MAX_IMAGE_KEYS:
                raise ConfigError(f"there are {MAX_IMAGE_KEYS} image keys already: 'slatecast keys revoke' one of them")
            image = _draw()
            trust = succeed(self.trust, self.director, image_keys=(image.public, *old))
            self._replace({IMAGE_KEY: _encode(image), TRUST: encode_trust(trust)})

    def revoke_image(self, key_fingerprint: bytes) -> None:
        """Trust an image key no longer; what it alone signed cannot be cast any more.

        Args:
            key_fingerprint: 16 bytes, of one of ``trust.image_keys``.

        Raises:
            ConfigError: as ``rotate_director``, no such key, the only one, or the one that signs here.
        """
        with self._folder.locked():
            self._load()
            kept = tuple(key for key in self.trust.image_keys if fingerprint(key) != key_fingerprint)
            if len(kept) == len(self.trust.image_keys):
                raise ConfigError("none of the image keys has that name: 'slatecast keys show' lists them")
            if not kept or (self.image is not None and self.image.public not in kept):
                raise ConfigError("this is the image key in use: 'slatecast keys rotate image' first makes another one")
            self._replace({TRUST: encode_trust(succeed(self.trust, self.director, image_keys=kept))})

    def __repr__(self) -> str:
        """The place, nothing else."""
        return f"KeyStore({str(self.folder)!r})"

    def _replace(self, files: dict[str, bytes]) -> None:
        self._folder.replace(files)
        self._load()

    def _load(self) -> None:
        path = self.folder
        self.trust = _decode_trust(self._need(TRUST), path / TRUST)
        self.director = _decode(self._need(DIRECTOR_KEY), path / DIRECTOR_KEY)
        if self.director.public != self.trust.director_key:
            raise ConfigError(
                f"{path / DIRECTOR_KEY} is not the director of {path / TRUST}: restore both from the same backup"
            )
        image = self._folder.read(IMAGE_KEY)
        self.image = None if image is None else _decode(image, path / IMAGE_KEY)
        if self.image is not None and self.image.public not in self.trust.image_keys:
            raise ConfigError(
                f"{path / IMAGE_KEY} is not an image key of {path / TRUST}: restore both from the same backup, or move "
                "that key away"
            )
        certificate = self._need(AUTHORITY_CERTIFICATE)
        if certificate != self.trust.authority:
            raise ConfigError(
                f"{path / AUTHORITY_CERTIFICATE} is not the authority of {path / TRUST}: restore both from the same "
                "backup"
            )
        self.authority = Authority.load(certificate, self._need(AUTHORITY_KEY))

    def _need(self, name: str) -> bytes:
        data = self._folder.read(name)
        if data is None:
            raise ConfigError(
                f"{self.folder / name} is missing: restore it from a backup; to begin anew, and enrol every receiver "
                f"again, move {self.folder} away"
            )
        return data


def read_signing_key(path: Path) -> SigningKey:
    """A private key that is kept by itself, such as the image key on a stick.

    Raises:
        ConfigError: none there, readable by other users, or no Ed25519 key.
    """
    pem = read_key_file(path, is_private=True)
    if pem is None:
        raise ConfigError(f"no key at {path}: give the file that holds the image key")
    return _decode(pem, path)


def _create(folder: KeyFolder) -> None:
    director, image, authority = _draw(), _draw(), Authority.create()
    trust = Trust(director_key=director.public, image_keys=(image.public,), authority=authority.certificate)
    folder.replace(
        {
            DIRECTOR_KEY: _encode(director),
            IMAGE_KEY: _encode(image),
            AUTHORITY_KEY: authority.private_key,
            AUTHORITY_CERTIFICATE: authority.certificate,
            TRUST: encode_trust(trust),
        }
    )


def _draw() -> SigningKey:
    return SigningKey(secrets.token_bytes(KEY_LENGTH))


def _encode(key: SigningKey) -> bytes:
    return key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _decode(pem: bytes, path: Path) -> SigningKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):  # TypeError: it is encrypted
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 private key in PEM: restore it from a backup")
    return SigningKey(key.private_bytes_raw())


def _decode_trust(encoded: bytes, path: Path) -> Trust:
    try:
        return decode_trust(encoded)
    except MessageError as error:
        raise ConfigError(f"{path} is damaged ({error}): restore it from a backup, or from an exported trust") from None
