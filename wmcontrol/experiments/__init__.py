"""The command line: demonstrations, benchmarks, and (later) training, evaluation and comparison."""
