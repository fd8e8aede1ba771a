//! Charts for the docs, as SVG: bars, one for each peer, and lines. They are readable on a light page and on a dark one.

use std::fmt::Write;

/// A bar of a chart.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What the bar stands for.
    pub label: String,
    /// The length of the bar.
    pub value: f64,
    /// Where the thin line over the bar starts.
    pub low: f64,
    /// Where the thin line ends.
    pub high: f64,
    /// Whether the bar is highlighted, as one of Moirai.
    pub ours: bool,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What the line stands for.
    pub label: String,
    /// The points of the line, from left to right.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 760.0;
const OURS: &str = "#1f6feb";
const COLOURS: [&str; 4] = ["#d1242f", "#bf8700", OURS, "#8250df"];

/// Draws horizontal bars; a shorter one is better. The thin line over a bar goes from the fastest run to the slowest, or to the
/// edge of the chart.
#[must_use]
pub fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    const LEFT: f64 = 250.0;
    const ROW: f64 = 26.0;
    const TOP: f64 = 44.0;
    let height = TOP + ROW * bars.len() as f64 + 14.0;
    // Single runs may take many times the median. The scale is chosen for the medians.
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max) * 1.15;
    let scale = (WIDTH - LEFT - 110.0) / longest;
    let mut svg = head(title, height);
    for (row, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let middle = y + ROW / 2.0;
        let colour = if bar.ours { OURS } else { "#8c959f" };
        let weight = if bar.ours { " font-weight=\"bold\"" } else { "" };
        let length = (bar.value * scale).max(1.0);
        let from = LEFT + bar.low.min(longest) * scale;
        let to = LEFT + bar.high.min(longest) * scale;
        let label = escaped(&bar.label);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\"{weight}>{label}</text>\n\
             <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\n\
             <line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#1f2328\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\"{weight}>{} {unit}</text>",
            LEFT - 8.0,
            middle + 4.5,
            y + 4.0,
            ROW - 8.0,
            to.max(LEFT + length) + 8.0,
            middle + 4.5,
            number(bar.value),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Draws lines over a common axis. Each is labelled at its end.
#[must_use]
pub fn lines(title: &str, x_label: &str, y_label: &str, lines: &[Line]) -> String {
    const LEFT: f64 = 66.0;
    const RIGHT: f64 = 215.0;
    const TOP: f64 = 64.0;
    const HEIGHT: f64 = 380.0;
    const BOTTOM: f64 = HEIGHT - 52.0;
    let points = || lines.iter().flat_map(|line| &line.points);
    let x_step = step(points().map(|point| point.0).fold(0.0, f64::max));
    let y_step = step(points().map(|point| point.1).fold(0.0, f64::max));
    let x_end = points().map(|point| point.0).fold(x_step, f64::max);
    let y_end = (points().map(|point| point.1).fold(y_step, f64::max) / y_step).ceil() * y_step;
    let x = |value: f64| LEFT + value / x_end * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| BOTTOM - value / y_end * (BOTTOM - TOP);
    let mut svg = head(title, HEIGHT);
    for tick in 0..=(y_end / y_step).round() as usize {
        let value = tick as f64 * y_step;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#d0d7de\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(value) + 4.5,
            number(value),
            y = y(value),
        );
    }
    for tick in 0..=(x_end / x_step).floor() as usize {
        let value = tick as f64 * x_step;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(value),
            BOTTOM + 20.0,
            number(value),
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"16\" y=\"{:.1}\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 12.0,
        escaped(x_label),
        TOP - 14.0,
        escaped(y_label),
    );
    // Labels that would overlap are pushed apart.
    let mut ends: Vec<(usize, f64)> = lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| Some((index, y(line.points.last()?.1))))
        .collect();
    ends.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut lowest = f64::INFINITY;
    for (index, end) in ends {
        let line = &lines[index];
        let colour = COLOURS[index % COLOURS.len()];
        let mut path = String::new();
        for &(at, value) in &line.points {
            let _ = write!(path, "{:.1},{:.1} ", x(at), y(value));
        }
        let name_at = end.min(lowest - 18.0);
        lowest = name_at;
        let last = line.points.last().map_or(0.0, |point| point.0);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\" font-weight=\"bold\">{}</text>",
            path.trim_end(),
            x(last) + 8.0,
            name_at + 4.5,
            escaped(&line.label),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn head(title: &str, height: f64) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"13\" fill=\"#1f2328\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n"
    )
}

/// Returns a round distance between ticks, for about five of them.
fn step(end: f64) -> f64 {
    if end <= 0.0 {
        return 1.0;
    }
    let rough = end / 5.0;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|&round| round * magnitude >= rough);
    round.unwrap_or(10.0) * magnitude
}

/// Formats a number with about three digits, or, from 10,000 on, with all of its digits in groups of three.
#[must_use]
pub fn number(value: f64) -> String {
    let whole = value.fract() == 0.0;
    if value >= 10_000.0 {
        let digits = format!("{value:.0}");
        let first = (digits.len() - 1) % 3 + 1;
        let mut text = digits[..first].to_owned();
        for group in digits.as_bytes()[first..].chunks(3) {
            text.push(',');
            text.extend(group.iter().map(|&digit| char::from(digit)));
        }
        text
    } else if whole || value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        let text = [0.0, 0.123, 9.5, 42.25, 123.4, 1234.5, 12_345.0, 1_234_567.0].map(number);
        assert_eq!(text, ["0", "0.12", "9.50", "42.2", "123", "1234", "12,345", "1,234,567"]);
    }

    #[test]
    fn labels_are_in_the_chart_and_escaped() {
        let bar = |label: &str, value| Bar {
            label: label.into(),
            value,
            low: value / 2.0,
            high: value * 9.0,
            ours: false,
        };
        let svg = bars("a & b", "ns", &[bar("RwLock<HashMap>", 12.0), bar("other", 0.0)]);
        assert!(svg.contains("RwLock&lt;HashMap&gt;") && svg.contains("a &amp; b"));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        let drawn = lines(
            "t",
            "x",
            "y",
            &[
                Line { label: "one".into(), points: vec![(0.0, 1.0), (2.0, 3.0)] },
                Line { label: "two".into(), points: Vec::new() },
            ],
        );
        assert!(drawn.contains("one") && !drawn.contains("NaN") && !drawn.contains("inf"));
        assert!(!lines("t", "x", "y", &[]).contains("NaN"));
    }
}
