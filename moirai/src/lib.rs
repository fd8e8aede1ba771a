//! moirai
