"""The research side of a data-centred hospital information system, over OMOP data."""

import os

# NumPy asks for large pages from 4 MB on. In a virtual machine whose host takes free memory back, as most are, these
# are handed out at five times the cost of small ones: a second of processor time for 300 MB. NumPy looks at its import.
os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")

__version__ = "0.1.0"
