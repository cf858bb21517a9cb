"""What scripts write to have a batch made up: how many files, and how large."""

from dataclasses import dataclass
from typing import Any

from segwatch.emulator.control.orders import Order
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.lake.made_batches import LEAST_BYTES

_FILES_MAX = 10_000
_FILE_BYTES_MAX = 4 * 1024**3
_ALL_BYTES_MAX = 20 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """`POST /_emulator/batches`. length_bytes: of each file. dataset: its id; None is the sandbox's first."""

    files: int
    length_bytes: int
    sandbox: str
    dataset: str | None
    seed: int


def new_batch(body: Any) -> NewBatch:
    order = Order(body, "files", "bytes", "dataset", "sandbox", "seed", what="The body")
    new = NewBatch(
        files=order.whole("files", least=1, most=_FILES_MAX) or 1,
        length_bytes=order.whole("bytes", least=LEAST_BYTES, most=_FILE_BYTES_MAX) or 1024,
        sandbox=order.sandbox(),
        dataset=order.text("dataset") if "dataset" in order else None,
        seed=order.whole("seed", most=2**63) or 0,
    )
    if new.files * new.length_bytes > _ALL_BYTES_MAX:
        raise ServiceError(400, f"files times bytes is more than {_ALL_BYTES_MAX}. Write fewer, or smaller ones.")
    return new
