"""What the pages say, as frozen values: queried once, then rendered without the database.

Moments are kept as moments, not as ages, so that two looks at an unchanged fleet are equal and
the browser's copy stays valid. None means that nobody reported the value.
"""
