"""Client of an OpenWrt router's ubus JSON-RPC: pure request builder and decoders."""
