"""A layer's compression is told by its first bytes; media types are often wrong, the bytes never are."""

from __future__ import annotations

import gzip
from typing import IO, cast

from sampan.runtime.images.unpack import Readable

_GZIP, _ZSTD, _XZ, _BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh"


def decompressed(file: IO[bytes]) -> Readable:
    """A stream of the tar inside ``file``, which must be seekable: gzip, zstd, xz, bzip2 or plain."""
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)
    if magic.startswith(_ZSTD):
        import zstandard

        return cast(Readable, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    if magic.startswith(_XZ):
        import lzma

        return lzma.LZMAFile(file)
    if magic.startswith(_BZIP2):
        import bz2

        return bz2.BZ2File(file)
    return file
