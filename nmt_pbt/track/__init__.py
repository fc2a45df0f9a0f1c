"""A run's models on an experiment tracker: MLflow or Weights & Biases."""
