//! Writing families in either format.

use std::fmt::{self, Write};

use super::family::{Family, FamilyKind, Value};
use super::format::Format;

/// Writes families, and the end of the page.
pub(super) fn write(out: &mut impl Write, format: Format, families: &[Family]) -> fmt::Result {
    for family in families {
        head(out, format, family)?;
        for number in &family.numbers {
            let mut line = |suffix, le: Option<&dyn fmt::Display>, value: &dyn fmt::Display| {
                write!(out, "{}{suffix}", family.name)?;
                labels(out, &number.labels, le)?;
                writeln!(out, " {value}")
            };
            match &number.value {
                Value::Count(count) => line("", None, count)?,
                Value::Amount(amount) => line("", None, amount)?,
                Value::Histogram { buckets, sum, count } => {
                    for (bound, count) in buckets {
                        line("_bucket", Some(bound), count)?;
                    }
                    line("_bucket", Some(&"+Inf"), count)?;
                    line("_sum", None, sum)?;
                    line("_count", None, count)?;
                }
            }
        }
    }
    match format {
        Format::Text => Ok(()),
        Format::OpenMetrics => out.write_str("# EOF\n"),
    }
}

fn head(out: &mut impl Write, format: Format, family: &Family) -> fmt::Result {
    let kind = match family.kind {
        FamilyKind::Counter => "counter",
        FamilyKind::Gauge => "gauge",
        FamilyKind::Histogram => "histogram",
    };
    // In OpenMetrics the suffix belongs to the number, and not to the family.
    let name = match format {
        Format::Text => family.name,
        Format::OpenMetrics => family.name_without_suffix(),
    };
    writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", family.help)?;
    match family.unit() {
        Some(unit) if format == Format::OpenMetrics => writeln!(out, "# UNIT {name} {unit}"),
        _ => Ok(()),
    }
}

fn labels(
    out: &mut impl Write,
    labels: &[(&str, String)],
    le: Option<&dyn fmt::Display>,
) -> fmt::Result {
    if labels.is_empty() && le.is_none() {
        return Ok(());
    }
    let mut before = "{";
    for (name, value) in labels {
        write!(out, "{before}{name}=\"")?;
        escape(out, value)?;
        out.write_str("\"")?;
        before = ",";
    }
    if let Some(bound) = le {
        write!(out, "{before}le=\"{bound}\"")?;
    }
    out.write_str("}")
}

/// Writes the value of a label.
fn escape(out: &mut impl Write, value: &str) -> fmt::Result {
    for char in value.chars() {
        match char {
            '\\' => out.write_str("\\\\")?,
            '"' => out.write_str("\\\"")?,
            '\n' => out.write_str("\\n")?,
            char => out.write_char(char)?,
        }
    }
    Ok(())
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    fn page(format: Format) -> String {
        let families = [
            Family::new(FamilyKind::Counter, "busy_seconds_total", "Time.")
                .with(&[("name", &"a\\b\"c\nd ä }"), ("n", &7)], 1.5),
            Family::new(FamilyKind::Gauge, "now", "Now.").with(&[], 3_u64),
        ];
        let mut out = String::new();
        write(&mut out, format, &families).unwrap();
        out
    }

    #[test]
    fn the_text_format_names_the_suffix_everywhere() {
        assert_eq!(
            page(Format::Text),
            "# HELP busy_seconds_total Time.\n# TYPE busy_seconds_total counter\n\
             busy_seconds_total{name=\"a\\\\b\\\"c\\nd ä }\",n=\"7\"} 1.5\n\
             # HELP now Now.\n# TYPE now gauge\nnow 3\n"
        );
    }

    #[test]
    fn open_metrics_names_the_family_without_it_and_ends() {
        assert_eq!(
            page(Format::OpenMetrics),
            "# HELP busy_seconds Time.\n# TYPE busy_seconds counter\n# UNIT busy_seconds seconds\n\
             busy_seconds_total{name=\"a\\\\b\\\"c\\nd ä }\",n=\"7\"} 1.5\n\
             # HELP now Now.\n# TYPE now gauge\nnow 3\n# EOF\n"
        );
    }
}
