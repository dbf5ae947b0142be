//! `ternflock bench compression`.

use super::super::arguments::Compression as Arguments;
use super::super::numbers::thousands;
use super::super::table::table;
use super::json;
use ternflock_base::error::Result;
use ternflock_base::text::plural;
use ternflock_bench::{Compression, CompressionOptions, Figures, RuleFigures, compression};
use ternflock_tensor::set_threads;
use ternflock_train as train;

/// Measures the job and returns the text to print.
pub fn main(arguments: &Arguments) -> Result<String> {
    let loaded = train::load(&arguments.job, &arguments.sets)?;
    set_threads(usize::from(arguments.threads))?;
    let options = CompressionOptions { ranks: usize::from(arguments.ranks), steps: arguments.at.clone() };
    let measured = compression(&loaded, &options)?;
    Ok(if arguments.json { json(&measured) } else { say(&measured) })
}

fn say(measured: &Compression) -> String {
    let titles =
        ["tensor", "elements", "rule", "angle", "norm", "clipped", "zeros", "bits", "variance", "norm of q"];
    let mut rows = vec![titles.map(String::from).to_vec()];
    for tensor in &measured.tensors {
        let named = |figures: &RuleFigures| {
            let mark = if figures.rule == tensor.rule { "*" } else { "" };
            format!("{}{mark}", figures.rule)
        };
        let elements = thousands(tensor.elements as u64);
        rows.extend(section(&tensor.name, &elements, &tensor.rules, named));
    }
    let plain = |figures: &RuleFigures| figures.rule.to_owned();
    rows.extend(section("compressed tensors", "", &measured.compressed, plain));
    rows.extend(section("all tensors", "", &measured.all, plain));
    let steps: Vec<String> = measured.steps.iter().map(u64::to_string).collect();
    format!(
        "{}: the mean gradient of {}, step {}; exchange.clip_sigma is {}\n{}",
        measured.job,
        plural(measured.ranks, "rank"),
        steps.join(", "),
        measured.clip_sigma,
        table(&rows, &[1, 3, 4, 5, 6, 7, 8, 9])
    )
}

/// One row per rule; the first one has the name.
fn section(
    name: &str,
    elements: &str,
    rules: &[RuleFigures],
    named: impl Fn(&RuleFigures) -> String,
) -> Vec<Vec<String>> {
    let row = |(index, rule): (usize, &RuleFigures)| {
        let first = |text: &str| if index == 0 { text.to_owned() } else { String::new() };
        let Figures { angle_degrees, norm_ratio, clipped, zeros, bits, variance, rounded_norm_ratio, .. } =
            rule.figures;
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        vec![
            first(name),
            first(elements),
            named(rule),
            format!("{angle_degrees:.1}"),
            format!("{norm_ratio:.3}"),
            percent(clipped),
            percent(zeros),
            format!("{bits:.2}"),
            format!("{variance:.2}"),
            format!("{rounded_norm_ratio:.2}"),
        ]
    };
    rules.iter().enumerate().map(row).collect()
}
