"""The research side of a data-centred hospital information system, over OMOP data."""

__version__ = "0.1.0"
