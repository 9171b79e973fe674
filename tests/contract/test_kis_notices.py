"""AES notices: the vectors decrypt to their plain text, a wrong key is a dead letter."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.kis.notices import NoticeKey, decrypt, encrypt, open_notice
from schemas.errors import Poison
from schemas.kis import frames

KIS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kis"
SECRET = NoticeKey("k" * 32, "i" * 16)


def _vectors() -> list[dict[str, Any]]:  # JSON of the data files has no type
    path = KIS / "execution_notice_vectors.json"
    return list(json.loads(path.read_text())) if path.exists() else []


@pytest.mark.data
@pytest.mark.skipif(not KIS.exists(), reason="../shared/data/kis is absent")
def test_the_vectors_are_read_and_written_alike() -> None:
    vectors = _vectors()

    for vector in vectors:
        secret = NoticeKey(vector["key"], vector["iv"])
        assert decrypt(vector["ciphertext"], secret) == vector["plaintext"]
        assert encrypt(vector["plaintext"], secret) == vector["ciphertext"]
        if "frame" in vector:
            frame = frames.parse(vector["frame"])
            assert isinstance(frame, frames.DataFrame)
            opened = open_notice(frame, secret)
            assert not opened.encrypted
            assert "^".join(opened.records[0]) == vector["plaintext"]

    assert len(vectors) == 5


@given(st.text(max_size=300))
def test_what_is_encrypted_comes_back(text: str) -> None:
    assert decrypt(encrypt(text, SECRET), SECRET) == text


@given(st.binary(max_size=80).map(lambda raw: base64.b64encode(raw).decode()) | st.text())
def test_any_body_is_read_or_is_poison(ciphertext: str) -> None:
    try:
        decrypt(ciphertext, SECRET)
    except Poison as poison:
        reason = str(poison)
    else:
        reason = "expected a notice"

    assert reason.startswith("expected a notice")


def test_another_streams_key_is_poison_and_not_printed() -> None:
    with pytest.raises(Poison, match="register the stream again") as poison:
        decrypt(encrypt("a^b", SECRET), NoticeKey("x" * 32, "y" * 16))

    assert "xxxx" not in str(poison.value)
