"""The page of a run, `report.html`, made from `results.json` alone. It needs no TensorFlow."""
