"""A second opinion on what a definition means: Circe JSON over lists of rows, in plain Python, one rule a function.

It reads the document itself, shares nothing with the plan or its compiler, runs no SQL, and is in no hurry: it is read
as the specification of the language, and our tests ask it whether the compiler's rows are right.
"""

from workbench.cohorts.reference.cohort import interpret
from workbench.cohorts.reference.database import Database

__all__ = ["Database", "interpret"]
