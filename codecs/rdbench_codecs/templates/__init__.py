"""Starting files that ``rdbench new codec`` writes: each is a codec that works.

``my-codec`` is the name of the codec, ``MyCodec`` that of its class.
"""
