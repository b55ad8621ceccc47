"""What the learned codecs share: weights, containers, entropy coding."""
