"""From a trained model to TensorFlow Serving: export, proof and push. See docs/serving.md."""
