"""Execution notices: AES-256-CBC, PKCS7, base64; key and iv are ASCII, from the ACK of their TR."""

import base64
import binascii
from typing import Final, NamedTuple

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from schemas.errors import Poison
from schemas.kis import frames

BLOCK_BITS: Final = 128
KEY_CHARS: Final = 32
IV_CHARS: Final = 16


class NoticeKey(NamedTuple):
    """What the ACK of a stream hands out; never logged.

    Attributes:
        key: 32 ASCII characters.
        iv: 16 ASCII characters.
    """

    key: str
    iv: str

    def __repr__(self) -> str:
        """Return the type alone: this is a secret."""
        return "NoticeKey(...)"


def decrypt(ciphertext: str, secret: NoticeKey) -> str:
    """Return the plain text of a notice.

    Args:
        ciphertext: Base64 of the encrypted body.
        secret: Of the stream it came on.

    Returns:
        Fields joined by ``^``.

    Raises:
        Poison: It is not base64 of whole blocks, or the key is another stream's.
    """
    try:
        blocks = base64.b64decode(ciphertext, validate=True)
        decryptor = _cipher(secret).decryptor()
        padded = decryptor.update(blocks) + decryptor.finalize()
        unpadder = padding.PKCS7(BLOCK_BITS).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except (ValueError, binascii.Error) as error:
        raise Poison(
            f"expected a notice under its stream's key, was {type(error).__name__} on "
            f"{len(ciphertext)} characters; register the stream again to get its key"
        ) from error


def encrypt(plaintext: str, secret: NoticeKey) -> str:
    """Return base64 of the encrypted text: what the simulated exchange sends."""
    padder = padding.PKCS7(BLOCK_BITS).padder()
    padded = padder.update(plaintext.encode()) + padder.finalize()
    encryptor = _cipher(secret).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def open_notice(frame: frames.DataFrame, secret: NoticeKey) -> frames.DataFrame:
    """Decrypt an encrypted data frame into its records.

    Args:
        frame: A frame with ``encrypted`` true.
        secret: Of its stream.

    Returns:
        The same frame, plain, with records of a known layout.

    Raises:
        Poison: It cannot be decrypted, or its layout is unknown.
    """
    body = decrypt(frame.records[0][0], secret)
    records = frames.split(frame.tr_id, frame.count, body)
    return frame._replace(encrypted=False, records=records)


def _cipher(secret: NoticeKey) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES256(secret.key.encode()), modes.CBC(secret.iv.encode()))
