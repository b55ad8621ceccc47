"""Training of the learned codecs: pictures, recipes, the loop. Each codec brings its objective."""
