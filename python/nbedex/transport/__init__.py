"""The direct current through the microstructure."""
