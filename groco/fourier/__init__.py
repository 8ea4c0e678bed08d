"""Group convolutions with fewer multiplications than the ordinary convolutions that they are.

A linear map that commutes with a group is block-diagonal in a basis adapted to it. `pointwise_conv` uses the
irreducible representations of the whole point group, `split_conv` those of its flips, which act on windows axis by
axis. Both take the kernels and signals of the dense layers and give the same numbers; `choice` says where they pay.
"""

from groco.fourier.choice import IMPLEMENTATIONS, gradients_follow, has_fourier, is_faster
from groco.fourier.irreps import Irrep, fourier_matrix, irreps
from groco.fourier.pointwise import pointwise_conv
from groco.fourier.splitting import split_conv

__all__ = [
    "IMPLEMENTATIONS",
    "Irrep",
    "fourier_matrix",
    "gradients_follow",
    "has_fourier",
    "irreps",
    "is_faster",
    "pointwise_conv",
    "split_conv",
]
