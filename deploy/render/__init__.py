"""Pure functions from topology and addresses to the text of configuration files."""
