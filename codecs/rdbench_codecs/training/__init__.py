"""Training of the learned codecs: images, recipes, the loop. Each codec brings its objective."""
