"""Memory of a CUDA device that a clip took at the most, as torch's allocator tells it."""

from __future__ import annotations


class Peak:
    """The most memory that torch held on a CUDA device since it was made or asked last."""

    def __init__(self, device: str) -> None:
        self._device = device if device.startswith("cuda") else None
        self._reset()

    def cost(self) -> dict[str, float]:
        """``vram_peak_bytes`` of a clip; empty on a CPU."""
        if self._device is None:
            return {}
        import torch

        peak = torch.cuda.max_memory_allocated(self._device)
        return {"vram_peak_bytes": float(peak)}

    def _reset(self) -> None:
        if self._device is not None:
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
