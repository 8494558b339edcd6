"""Hybrids from a teacher: start from its weights, train against it, rank its layers.

``linearize`` begins a hybrid, ``train`` brings it up (``config`` says how, ``setup`` fetches what
it needs, ``state`` survives a kill), ``ranking`` measures which layers should stay. Of the rest of
the package ``models`` is used, and what ``models`` uses.
"""
