"""Denoising training for recommenders that learn from clicks (Wang et al., arXiv 2112.01160).

The public names, listed in `__init__.pyi`, are imported when they are first used, so that `import tfadt` stays free of
TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
