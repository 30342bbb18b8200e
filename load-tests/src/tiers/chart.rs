//! A chart of rates as SVG: a line per app over the numbers of conditions, rates on a scale of ratios.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 580.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 370.0;
const COLOURS: [&str; 5] = ["#1f77b4", "#2ca02c", "#ff7f0e", "#d62728", "#9467bd"];

/// One app's line: its name and a rate per number of conditions, 0 where none was held.
pub struct Line {
    pub name: String,
    pub rates: Vec<u32>,
}

/// `ticks` are the numbers of conditions, as many as every line has rates.
pub fn svg(title: &str, ticks: &[usize], lines: &[Line]) -> String {
    let most = lines.iter().flat_map(|line| &line.rates).copied().max().unwrap_or(1).max(1);
    let decades = f64::from(most).log10().ceil().max(1.0);
    let x = |n: usize| LEFT + (RIGHT - LEFT) * (n as f64 + 0.5) / ticks.len().max(1) as f64;
    let y = |rate: u32| BOTTOM - (BOTTOM - TOP) * f64::from(rate.max(1)).log10() / decades;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"15\">{}</text>\n",
        escaped(title)
    );
    for decade in 0..=decades as u32 {
        let (rate, y) = (10u32.pow(decade), y(10u32.pow(decade)));
        _ = writeln!(svg, "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>");
        _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{rate}</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    for (n, conditions) in ticks.iter().enumerate() {
        let label = BOTTOM + 18.0;
        _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{label}\" text-anchor=\"middle\">{conditions}</text>", x(n));
    }
    let middle = (LEFT + RIGHT) / 2.0;
    _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">conditions</text>",
        BOTTOM + 38.0
    );
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points = || line.rates.iter().enumerate().map(|(n, rate)| (x(n), y(*rate)));
        let path: Vec<String> = points().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        _ = writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        for ((x, y), rate) in points().zip(&line.rates) {
            _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{rate}/s</title></circle>"
            );
        }
        let y = TOP + 20.0 * number as f64;
        let name = escaped(&line.name);
        _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{y}\" fill=\"{colour}\">{name}</text>", RIGHT + 15.0);
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_has_a_point_inside_the_frame() {
        let line = |name: &str, rates: [u32; 3]| Line { name: name.into(), rates: rates.into() };
        let svg = svg("a < b", &[1, 5, 20], &[line("10k", [9_000, 800, 0]), line("1M", [100, 1, 3])]);
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (6, 2));
        assert!(svg.contains("a &lt; b") && svg.contains("<title>9000/s</title>"));
        for part in svg.split("cy=\"").skip(1) {
            let y: f64 = part.split('"').next().unwrap().parse().unwrap();
            assert!((TOP..=BOTTOM).contains(&y), "{y}");
        }
    }
}
