"""The generated parts of the documentation.

A part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`. The text around it is
written by people. `python -m deploy.papers` writes the parts anew, `--check` tells stale ones.
"""
