"""World models: predictors of patch tokens, and what is needed to save and roll them out."""
