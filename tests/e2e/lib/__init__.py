"""What the tests need to drive real clients through the real shim on a real cluster."""
