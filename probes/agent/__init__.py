"""The agent of a box: reports the journal, looks after claims, runs the site's own home."""
