"""The front for KerasTuner's users: Population Based Training of any Keras model, under KerasTuner's own loop."""
