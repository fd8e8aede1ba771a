//! Percentiles of measured values.

/// Returns the value below which about this share of the values lies. It is always one of the values; zero if there are none.
#[must_use]
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(0.0)
}

/// Returns the value in the middle; of an even number of values, the greater of the two in the middle.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// Returns the smallest and the largest value.
#[must_use]
pub fn range(values: &[f64]) -> (f64, f64) {
    (percentile(values, 0.0), percentile(values, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(&values), 3.0);
        assert_eq!(range(&values), (1.0, 5.0));
        assert_eq!(percentile(&values, 0.99), 5.0);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[1.0, 2.0]), 2.0);
    }
}
