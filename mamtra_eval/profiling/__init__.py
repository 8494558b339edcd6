"""What running a system costs: memory by part, time by stage, arithmetic, and where ratios cross.

``rows``        what a profile leaves behind: one row a quantity, in the run folder's database
``subjects``    what can be profiled: a decoder's shape, a checkpoint, any target of the spine
``meter``       interleaved timing with warm-up and a stopping rule; summaries that know their n
``workloads``   replay, fixed: what a decoder is made to do; ``timing`` visits it
``tensors``     bytes of tensors by part, walked from the objects themselves
``memory``      readings of a device or process; ``anatomy`` takes them by phase, in a fresh process
``speech``      systems as users meet them: ``cold`` starts, ``speaking`` in turn, ``load``
``latency``     first audio, gaps, real-time factor from arrivals; ``spoken`` makes rows of them;
                ``slo``: how many clients a service level allows
``flops``       closed form, and torch's counter beside it
``identity``    machine, kernels, element types: profiles that differ in it are not compared;
                ``busy``: whether the device is free
``sweep``       which cells there are, and the run over them; ``recording`` keeps them

Timings never decide a test. Everything that reads a clock takes it as an argument.
"""
