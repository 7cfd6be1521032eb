"""Other people's predictors, and readers of their checkpoints."""
