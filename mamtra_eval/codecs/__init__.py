"""Speech tokens to audio and back, a codec a file.

``mini`` is the embedded one: 25 tokens a second, one codebook of 4,096, in the package.
"""
