"""The deployment advisor: does it fit, how many streams, what binds, what would change that.

``advising``    the whole: variants judged, one recommended, as a document
``answers``     the five questions of a deployment, answered with numbers; notes
``assessing``   one variant: verdict, what binds, the most streams, changes that flip the verdict
``memory``      its budget, term by term; ``terms`` has the rules of verdicts and ``guesses.yaml``
                everything that is assumed
``latency``     the time to first audio, bounded from below and, where measured, from above
``quality``     the loss in word error rate against a margin
``measured``    what a profile (``mamtra-eval profile``) puts in place of guesses
``deployment``  card, neighbours, load, variants; ``cards`` and ``units``

Nothing here is measured by the advisor itself, and every term says where it comes from. More
streams, longer contexts and more neighbours never improve a verdict, and more memory never worsens
one; ``terms`` says how that is so although guesses and measurements are mixed.
"""
