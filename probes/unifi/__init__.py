"""Client of a UniFi OS console: pure request builder and decoders, one thin transport."""
