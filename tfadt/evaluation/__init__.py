"""Full ranking over all items: metrics, activity groups, the popularity floor and tests of significance."""
