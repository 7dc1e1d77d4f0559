"""Patterns of known truth from a program that is not ours, and what an indexer makes of them.

`conditions`, `detector` and `exchange` need NumPy alone, `crystal` and `bloch` the environment of requirements.txt,
`judge` nbedex.
"""
