"""A predictor that is trained on the embedded scenes, and what it foresees: the tables of docs/forecasting.md."""
