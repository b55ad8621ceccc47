"""What runs in the environments of other programs: Python 3.7, numpy, and no rdbench."""
