"""Reads the named float tensors out of an ONNX file, without the ``onnx`` package.

An ONNX file is a protocol-buffers message. Of it this needs: ``ModelProto.graph`` (field 7),
``GraphProto.initializer`` (5), and of every ``TensorProto`` its ``dims`` (1), ``data_type`` (2),
``float_data`` (4), ``name`` (8) and ``raw_data`` (9). Everything else is skipped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mamtra_eval.features import Floats

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _FLOAT_DATA, _NAME, _RAW_DATA = 1, 2, 4, 8, 9
_FLOAT32 = 1

_VARINT, _BITS64, _BYTES, _BITS32 = 0, 1, 2, 5


def read_float_tensors(path: Path) -> dict[str, Floats]:
    """All float32 initializers by name."""
    tensors = {}
    for number, graph in _fields(memoryview(path.read_bytes())):
        if number == _GRAPH and not isinstance(graph, int):
            for inner, tensor in _fields(graph):
                if inner == _INITIALIZER and not isinstance(tensor, int):
                    tensors.update(_read_tensor(tensor))
    return tensors


def _read_tensor(message: memoryview) -> dict[str, Floats]:
    dims: list[int] = []
    name, data_type, data = "", 0, b""
    for number, value in _fields(message):
        if number == _DIMS:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif number == _DATA_TYPE and isinstance(value, int):
            data_type = value
        elif number in (_FLOAT_DATA, _RAW_DATA) and not isinstance(value, int):
            data += bytes(value)
        elif number == _NAME and not isinstance(value, int):
            name = bytes(value).decode()
    if data_type != _FLOAT32 or len(data) != 4 * math.prod(dims):
        return {}
    return {name: np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(dims)}


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers with their values: integers, or the bytes of everything longer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_BITS32, _BITS64):
            size = 4 if wire == _BITS32 else 8
        else:
            raise ValueError(f"not a protocol-buffers message (wire type {wire})")
        yield number, message[at : at + size]
        at += size


def _varints(data: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """An integer in groups of 7 bits, lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
