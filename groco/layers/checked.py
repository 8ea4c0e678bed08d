"""The check of sizes that are not known before a net runs; only TensorFlow's graphs have such sizes."""

from __future__ import annotations


def checked(tensor, fits, message: str):
    """The tensor; where `fits`, a boolean tensor made of sizes, turns out False, it raises instead.

    A plain graph raises `tf.errors.InvalidArgumentError` with the message. XLA drops assertions, but it knows all sizes
    when it compiles, and then refuses the negative shape: its own error names the layer and this operation. Where the
    sizes fit, the reshaping moves no data.
    """
    import tensorflow as tf

    shape = tf.shape(tensor)
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, "Got shape", shape], summarize=-1)]):
        shape = tf.where(fits, shape, -2)  # -1 would be a size to be found
    outputs = tf.reshape(tensor, shape, name="this_size_does_not_fit")
    outputs.set_shape(tensor.shape)
    return outputs
