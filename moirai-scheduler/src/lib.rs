//! moirai-scheduler
