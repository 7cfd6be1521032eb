"""What ``wmcontrol bench`` measures: planning and training with a world model, beside what the machine can do."""
