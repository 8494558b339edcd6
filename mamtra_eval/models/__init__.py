"""The MamTra network: a speech language model whose layers are Transformer or Mamba-2 layers.

``layout`` and ``config`` say what a model is, ``decoder`` builds it, ``generate`` decodes with it,
``checkpoint`` keeps it, ``cost`` counts it. Nothing here knows of test sets, runs or reports; of
the rest of the package only ``errors`` and ``extras`` are imported, which import nothing.

Layout and mixer follow MamTra (arXiv 2603.12342) as far as its project page pins them: the Mamba-2
block is that of "The Mamba in the Llama" (arXiv 2408.15237), the teacher's shape that of
CosyVoice 2 (arXiv 2412.10117).
"""
