//! moirai-executor
