"""What the end-to-end tests, the benchmarks and the demonstration share (put tests/ on sys.path, then `from support import ...`)."""
