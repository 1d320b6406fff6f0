"""From scores to numbers: metrics, their intervals, comparisons between methods. numpy and scipy, float64, no torch."""
