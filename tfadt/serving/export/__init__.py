"""A trained model becomes a version that TensorFlow Serving loads."""
