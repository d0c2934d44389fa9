"""Packets, frames and handshakes as bytes and values; no I/O."""
