//! Writing families of numbers in either format.

use std::fmt::{self, Write};

use super::format::Format;

/// What a family's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its name ends in `_total`.
    Counter,
    Gauge,
    Histogram,
}

/// A page that is being written.
pub(super) struct Exposition<'a, W> {
    out: &'a mut W,
    format: Format,
}

impl<'a, W: Write> Exposition<'a, W> {
    pub(super) fn new(out: &'a mut W, format: Format) -> Self {
        Self { out, format }
    }

    /// Begins a family. `help` must be one line without quotes and backslashes.
    pub(super) fn family<'b>(
        &'b mut self,
        name: &'static str,
        kind: Kind,
        help: &str,
    ) -> Result<Family<'b, W>, fmt::Error> {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // In OpenMetrics the suffix belongs to the number, and not to the family.
        let described = match self.format {
            Format::Text => name,
            Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        };
        writeln!(self.out, "# HELP {described} {help}\n# TYPE {described} {word}")?;
        if self.format == Format::OpenMetrics {
            let units = ["seconds", "bytes"];
            if let Some(unit) = units.into_iter().find(|unit| described.ends_with(unit)) {
                writeln!(self.out, "# UNIT {described} {unit}")?;
            }
        }
        Ok(Family { out: self.out, name })
    }

    /// Ends the page.
    pub(super) fn end(self) -> fmt::Result {
        match self.format {
            Format::Text => Ok(()),
            Format::OpenMetrics => self.out.write_str("# EOF\n"),
        }
    }
}

/// A family of which numbers are being written.
pub(super) struct Family<'a, W> {
    out: &'a mut W,
    name: &'static str,
}

impl<W: Write> Family<'_, W> {
    /// Writes one number. The values of the labels may be any text.
    pub(super) fn number(
        &mut self,
        labels: &[(&str, &dyn fmt::Display)],
        value: impl fmt::Display,
    ) -> fmt::Result {
        self.number_of("", labels, value)
    }

    /// Writes one number of a histogram, whose name ends in `suffix`.
    pub(super) fn number_of(
        &mut self,
        suffix: &str,
        labels: &[(&str, &dyn fmt::Display)],
        value: impl fmt::Display,
    ) -> fmt::Result {
        write!(self.out, "{}{suffix}", self.name)?;
        for (index, (label, text)) in labels.iter().enumerate() {
            self.out.write_str(if index == 0 { "{" } else { "," })?;
            write!(self.out, "{label}=\"")?;
            write!(Escaped(self.out), "{text}")?;
            self.out.write_str("\"")?;
        }
        if !labels.is_empty() {
            self.out.write_str("}")?;
        }
        writeln!(self.out, " {value}")
    }
}

/// Escapes what is written, as the value of a label.
struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(['\\', '"', '\n']) {
            let special = part.chars().next_back().filter(|last| "\\\"\n".contains(*last));
            let Some(special) = special else {
                self.0.write_str(part)?;
                continue;
            };
            // All three are of one byte.
            self.0.write_str(&part[..part.len() - 1])?;
            self.0.write_str(match special {
                '\\' => "\\\\",
                '"' => "\\\"",
                _ => "\\n",
            })?;
        }
        Ok(())
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    fn page(format: Format) -> String {
        let mut out = String::new();
        let mut page = Exposition::new(&mut out, format);
        let mut family = page.family("busy_seconds_total", Kind::Counter, "Time.").unwrap();
        family.number(&[("name", &"a\\b\"c\nd ä }"), ("n", &7)], 1.5).unwrap();
        page.family("now", Kind::Gauge, "Now.").unwrap().number(&[], 3).unwrap();
        page.end().unwrap();
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
