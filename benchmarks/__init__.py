"""Times of groco's layers and nets beside the same ones made of Keras' plain layers; see docs/benchmarks.md."""
