"""GPUs that training is planned for: memory, bf16 rate, bandwidth.

Figures are as NVIDIA publishes them in data sheets and architecture papers: the rate is that of dense bf16 matrices
with accumulation in float32, half of the figure "with sparsity"; of a card sold in several forms the SXM one. A card
whose memory corrects errors in itself (GDDR6 with ECC, on by default in servers) keeps a sixteenth of it for that.
"""

import difflib
from dataclasses import dataclass

from stepward.errors import StepwardError

GIB = 2**30


@dataclass(frozen=True, slots=True)
class GPUSpec:
    """A GPU.

    Attributes:
        name: As `stepward plan --card` takes it.
        memory: As published, in GB, which is GiB of the chips.
        tflops: Dense bf16 matrix rate, in 10^12 floating-point operations a second.
        bandwidth: Of the memory, in GB a second.
        ecc: Whether error correction takes a sixteenth of the memory.
    """

    name: str
    memory: float
    tflops: float
    bandwidth: int
    ecc: bool = False

    @property
    def bytes(self) -> int:
        """What programs can have of the memory."""
        return int(self.memory * GIB * (15 if self.ecc else 16) // 16)


GPUS = {
    card.name: card
    for card in (
        GPUSpec("rtx-3090", 24, 71.0, 936),
        GPUSpec("rtx-4090", 24, 165.2, 1008),
        GPUSpec("rtx-5090", 32, 209.5, 1792),
        GPUSpec("a10", 24, 125.0, 600, ecc=True),
        GPUSpec("l4", 24, 121.0, 300, ecc=True),
        GPUSpec("l40s", 48, 362.05, 864, ecc=True),
        GPUSpec("a100-40gb", 40, 312.0, 1555),
        GPUSpec("a100-80gb", 80, 312.0, 2039),
        GPUSpec("h100", 80, 989.4, 3350),
        GPUSpec("h200", 141, 989.4, 4800),
        GPUSpec("b200", 180, 2250.0, 8000),
    )
}


def get_gpu(name: str) -> GPUSpec:
    """The card of a name.

    Raises:
        StepwardError: There is none; names the nearest.
    """
    found = GPUS.get(name.lower().replace(" ", "-").replace("_", "-"))
    if found is None:
        near = difflib.get_close_matches(name.lower(), GPUS, n=1)
        raise StepwardError(
            f"card {name}: not known{f'; did you mean {near[0]}?' if near else ''}; known: {', '.join(GPUS)}. "
            "For another give --memory (GiB) and --tflops (dense bf16)",
            code="unknown_name",
            field="--card",
        )
    return found
