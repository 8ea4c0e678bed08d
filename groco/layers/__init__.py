"""Group-equivariant layers, named and called like those of Keras."""

from groco.layers.batch_normalization import GroupBatchNormalization
from groco.layers.blur_pooling import (
    GroupBlurPooling1D,
    GroupBlurPooling2D,
    GroupBlurPooling3D,
)
from groco.layers.conv import (
    GroupConv1D,
    GroupConv2D,
    GroupConv3D,
)
from groco.layers.conv_transpose import (
    GroupConv1DTranspose,
    GroupConv2DTranspose,
    GroupConv3DTranspose,
)
from groco.layers.dense import (
    GroupDense,
)
from groco.layers.depthwise_conv import (
    DepthwiseGroupConv1D,
    DepthwiseGroupConv2D,
    DepthwiseGroupConv3D,
)
from groco.layers.global_pooling import (
    GlobalGroupAveragePooling1D,
    GlobalGroupAveragePooling2D,
    GlobalGroupAveragePooling3D,
    GlobalGroupMaxPooling1D,
    GlobalGroupMaxPooling2D,
    GlobalGroupMaxPooling3D,
)
from groco.layers.lifting import (
    GroupLifting1D,
    GroupLifting2D,
    GroupLifting3D,
)
from groco.layers.pooling import (
    GroupAveragePooling1D,
    GroupAveragePooling2D,
    GroupAveragePooling3D,
    GroupMaxPooling1D,
    GroupMaxPooling2D,
    GroupMaxPooling3D,
)
from groco.layers.restriction import (
    GroupRestriction1D,
    GroupRestriction2D,
    GroupRestriction3D,
)
from groco.layers.separable_conv import (
    SeparableGroupConv1D,
    SeparableGroupConv2D,
    SeparableGroupConv3D,
)
from groco.layers.upsampling import (
    GroupUpSampling1D,
    GroupUpSampling2D,
    GroupUpSampling3D,
)
from groco.layers.zero_padding import (
    GroupCropping1D,
    GroupCropping2D,
    GroupCropping3D,
    GroupZeroPadding1D,
    GroupZeroPadding2D,
    GroupZeroPadding3D,
)

__all__ = [
    "DepthwiseGroupConv1D",
    "DepthwiseGroupConv2D",
    "DepthwiseGroupConv3D",
    "GlobalGroupAveragePooling1D",
    "GlobalGroupAveragePooling2D",
    "GlobalGroupAveragePooling3D",
    "GlobalGroupMaxPooling1D",
    "GlobalGroupMaxPooling2D",
    "GlobalGroupMaxPooling3D",
    "GroupAveragePooling1D",
    "GroupAveragePooling2D",
    "GroupAveragePooling3D",
    "GroupBatchNormalization",
    "GroupBlurPooling1D",
    "GroupBlurPooling2D",
    "GroupBlurPooling3D",
    "GroupConv1D",
    "GroupConv1DTranspose",
    "GroupConv2D",
    "GroupConv2DTranspose",
    "GroupConv3D",
    "GroupConv3DTranspose",
    "GroupCropping1D",
    "GroupCropping2D",
    "GroupCropping3D",
    "GroupDense",
    "GroupLifting1D",
    "GroupLifting2D",
    "GroupLifting3D",
    "GroupMaxPooling1D",
    "GroupMaxPooling2D",
    "GroupMaxPooling3D",
    "GroupRestriction1D",
    "GroupRestriction2D",
    "GroupRestriction3D",
    "GroupUpSampling1D",
    "GroupUpSampling2D",
    "GroupUpSampling3D",
    "GroupZeroPadding1D",
    "GroupZeroPadding2D",
    "GroupZeroPadding3D",
    "SeparableGroupConv1D",
    "SeparableGroupConv2D",
    "SeparableGroupConv3D",
]
