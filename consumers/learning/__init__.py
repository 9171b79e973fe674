"""What results teach: factor weights after the close, and the models that we train ourselves."""
