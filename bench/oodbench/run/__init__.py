"""From a matrix to records: registry, plan, engines, execution."""
