//! Medians of many reports as Markdown. Runs nothing.

use catchup_bench::report::Report;

use crate::field::{Figure, Load};
use crate::{Entrant, Options};

pub fn print_heading(options: &Options) {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    println!(
        "{}; {cores} x {}; Linux {}; medians of {} interleaved rounds of {} s{}",
        chrono::Local::now().format("%Y-%m-%d %H:%M"),
        model.unwrap_or("unknown processor"),
        kernel.trim(),
        options.rounds,
        options.seconds,
        if options.no_pin { ", not pinned" } else { ", server on core 0, generator on core 1" },
    );
}

pub fn print_table(load: &Load, entrants: &[Entrant], reports: &[&[Report]]) {
    println!("\n**{}**: {}\n", load.name, load.about);
    let (unit, is_more_better) = match load.figure {
        Figure::Rate => ("deliveries/s", true),
        Figure::Ramp => ("deliveries/s held", true),
        Figure::Paced => ("p99, us", false),
        Figure::Joins => ("joins/s", true),
        Figure::Memory => ("B a connection", false),
    };
    println!(
        "| server | {unit} | to `limit` | to the best peer | CPU ns a delivery (user + system) | k | p50 / p99 / p99.9 us | lowest..highest | runs | others, cores |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let middle = |row: &[Report]| median(row.iter().map(|report| value(load.figure, report)));
    let of = |row: usize| middle(reports[row]);
    let limit = entrants.iter().position(|entrant| entrant.name == "limit").and_then(of);
    let is_peer = |name: &str| !name.starts_with("limit") && !name.starts_with("catchup");
    let peers = (0..entrants.len()).filter(|row| is_peer(&entrants[*row].name)).filter_map(of);
    let best = peers.reduce(if is_more_better { f64::max } else { f64::min });
    for (entrant, row) in entrants.iter().zip(reports) {
        let Some(figure) = middle(row) else {
            println!("| {} | failed | | | | | | | 0 | |", entrant.name);
            continue;
        };
        let values = || row.iter().map(|report| value(load.figure, report));
        let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
        let ratio = |to: Option<f64>| to.filter(|to| *to > 0.0).map_or("-".into(), |to| format!("{:.2}", figure / to));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {}..{} | {} | {:.2} |",
            entrant.name,
            short(figure),
            ratio(limit),
            ratio(best),
            cpu_cell(row),
            median(row.iter().filter(|report| report.deliveries > 0).map(|report| report.deliveries_per_read))
                .map_or("-".into(), |k| format!("{k:.1}")),
            latency_cell(row),
            short(low),
            short(high),
            row.len(),
            median(row.iter().map(|report| report.others_cores)).unwrap_or(0.0),
        );
    }
}

pub fn cell(figure: Figure, reports: &[&Report]) -> String {
    median(reports.iter().map(|report| value(figure, report))).map_or("-".into(), short)
}

fn cpu_cell(row: &[Report]) -> String {
    let cpu = || row.iter().filter(|report| report.deliveries > 0).filter_map(|report| report.cpu);
    let user = median(cpu().map(|cpu| cpu.user_ns));
    let system = median(cpu().map(|cpu| cpu.system_ns));
    let all = median(cpu().map(|cpu| cpu.user_ns + cpu.system_ns));
    match (all, user, system) {
        (Some(all), Some(user), Some(system)) => format!("{all:.0} ({user:.0} + {system:.0})"),
        _ => "-".into(),
    }
}

fn latency_cell(row: &[Report]) -> String {
    let latency = || row.iter().filter_map(|report| report.latency);
    match median(latency().map(|latency| latency.p50)) {
        Some(p50) => {
            let p99 = median(latency().map(|latency| latency.p99)).unwrap_or(0.0);
            let p999 = median(latency().map(|latency| latency.p999)).unwrap_or(0.0);
            format!("{p50:.0} / {p99:.0} / {p999:.0}")
        }
        None => "-".into(),
    }
}

fn value(figure: Figure, report: &Report) -> f64 {
    match figure {
        Figure::Rate => report.deliveries_per_second,
        Figure::Ramp => report.ramp.map_or(0.0, |ramp| ramp.held),
        Figure::Paced => report.latency.map_or(0.0, |latency| latency.p99),
        Figure::Joins => report.joins_per_second.unwrap_or(0.0),
        Figure::Memory => report.memory.map_or(0.0, |memory| memory.resident_per_client),
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// 5.65M, 12.3k, 129.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2}M", value / 1e6),
        1e4.. => format!("{:.1}k", value / 1e3),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_the_two() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn figures_are_short() {
        for (value, want) in [(5_650_000.0, "5.65M"), (12_345.0, "12.3k"), (129.0, "129")] {
            assert_eq!(short(value), want);
        }
    }
}
