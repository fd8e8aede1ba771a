//! moirai-metrics
