"""Planning and training with a world model, beside what the machine can do."""
