"""A network namespace a site: addresses, setting up, taking down."""
