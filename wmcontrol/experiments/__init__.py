"""The command line: data, training, evaluation and comparison."""
