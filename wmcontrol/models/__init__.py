"""World models: predictors in an encoder's latent space, with or without actions, and their checkpoints."""
