"""From runs to what people read: tables, comparisons, verdicts."""
