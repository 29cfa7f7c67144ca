"""Report, watch and show GPU nodes and the models that they serve."""

__version__ = "0.1.0"
