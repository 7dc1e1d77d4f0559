"""Damage done to files: bytes, text, JSON, and HDF5 files that were made up."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

Mutation = Callable[[random.Random, bytes], bytes]

_NUMBERS = (
    0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1,
    2**63, 2**64 - 1,
)  # fmt: skip
_WORDS = (
    "nan", "-nan", "inf", "-inf", "1e400", "-1e308", "1e-400", "0", "-0", "-1", "00", "9" * 40, "2147483648", "1e9",
    "0.5(3)", "(", ")", "?", ".", "'", '"', "'''", ";", "#", "\\", "/", "..", "../../../etc/passwd", "/etc/passwd",
    "\0", "\ufeff", "é", "\u2028", "Ω" * 50, "x" * 5000, "%s%n", "true", "null", "[", "]", "{", "}", "[[", "=", ",",
    "__import__('os').system('id')", "9**9**9**9", "os.system", "loop_", "data_", "_cell_length_a", "|O", "|V9", "<f99",
    ">u2", "(1,)", "(-1, 16, 16)", "True", "None", "1979-05-27T07:32:00Z", "0x7fffffff", "\r", "\t", "\n\n",
)  # fmt: skip
_TOKEN = re.compile(r"[A-Za-z_]+|[-+]?[0-9.]+(?:[eE][-+]?\d+)?|\s+|[^\sA-Za-z0-9_]")


def damaged_bytes(rng: random.Random, data: bytes) -> bytes:
    """One to four pieces of damage, half of them in the first 600 bytes, where headers are."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(_BYTE_DAMAGE)(rng, out)
    return bytes(out)


def _place(rng: random.Random, data: bytearray) -> int:
    near = min(len(data), 600) if rng.random() < 0.5 else len(data)
    return rng.randrange(near) if near else 0


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _byte(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))


def _number(rng: random.Random, data: bytearray) -> None:
    width = rng.choice((1, 2, 4, 8))
    value = (rng.choice(_NUMBERS) if rng.random() < 0.8 else -rng.choice(_NUMBERS)) % (1 << 8 * width)
    at = _place(rng, data)
    at -= at % width if rng.random() < 0.5 else 0
    data[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[_place(rng, data) :]


def _delete(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 4, 16, 200))]


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    piece = data[at : at + rng.choice((1, 4, 16, 200))]
    data[at:at] = piece * rng.choice((1, 2, 20))


def _insert(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    data[at:at] = rng.randbytes(rng.choice((1, 3, 8, 64)))


def _blank(rng: random.Random, data: bytearray) -> None:
    at, size = _place(rng, data), rng.choice((4, 16, 128))
    size = min(size, len(data) - at)
    data[at : at + size] = rng.choice((b"\0", b"\xff", b"A", b" ")) * size


def _exchange(rng: random.Random, data: bytearray) -> None:
    a, b, size = _place(rng, data), _place(rng, data), rng.choice((1, 2, 8, 64))
    if max(a, b) + size <= len(data):
        data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


_BYTE_DAMAGE = (_flip, _flip, _byte, _number, _number, _cut, _delete, _repeat, _insert, _blank, _exchange)


def damaged_text(rng: random.Random, data: bytes) -> bytes:
    """Words, numbers and lines of a text exchanged, repeated, lost; now and then damaged bytes."""
    if rng.random() < 0.15:
        return damaged_bytes(rng, data)
    text = data.decode("utf-8", "replace")
    for _ in range(rng.choice((1, 1, 2, 5))):
        text = _line_damage(rng, text) if rng.random() < 0.35 else _token_damage(rng, text)
    return text.encode("utf-8", "surrogatepass")


def _token_damage(rng: random.Random, text: str) -> str:
    if not text:
        return rng.choice(_WORDS)
    start = rng.randrange(len(text))
    hit = _TOKEN.search(text, start)
    if hit is None:
        return text[:start]
    other = _TOKEN.search(text, rng.randrange(len(text)))
    new = rng.choice((rng.choice(_WORDS), rng.choice(_WORDS), str(rng.choice(_NUMBERS)), other[0] if other else "", ""))
    return text[: hit.start()] + new + text[hit.end() :]


def _line_damage(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(to, lines[at])
        case 2:
            lines[at], lines[to] = lines[to], lines[at]
        case 3:
            lines[at:at] = [lines[at]] * rng.choice((10, 300))
        case _:
            del lines[at:]
    return "\n".join(lines)


_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, -1e308, 5e-324, "", "x", "\0", "x" * 4000, [], {}, [[]],
    [None], [1, 2, 3], {"a": 1}, "../../etc/passwd", [[1.0, 0.0, 0.0]] * 3, float("nan"), float("inf"), "é\ud800",
)  # fmt: skip


def damaged_json(rng: random.Random, value: Any) -> Any:
    """The same with a value replaced, a key lost or a stranger added somewhere in it."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        out = dict(value)
        fate = rng.random()
        if fate < 0.1:
            del out[key]
        elif fate < 0.15:
            out[rng.choice(("x", "", "__class__"))] = rng.choice(_VALUES)
        else:
            out[key] = damaged_json(rng, out[key])
        return out
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        fate = rng.random()
        if fate < 0.1:
            return value[:at] + value[at + 1 :]
        if fate < 0.2:
            return [*value, value[at]]
        return [*value[:at], damaged_json(rng, value[at]), *value[at + 1 :]]
    if isinstance(value, str) and rng.random() < 0.5:
        return damaged_text(rng, value.encode("utf-8", "replace")).decode("utf-8", "replace")
    return rng.choice(_VALUES)


def any_of(*mutations: tuple[float, Mutation]) -> Mutation:
    """One of several, by weight."""
    weights: Sequence[float] = [weight for weight, _ in mutations]
    kinds = [mutation for _, mutation in mutations]

    def mutate(rng: random.Random, data: bytes) -> bytes:
        return rng.choices(kinds, weights)[0](rng, data)

    return mutate
