//! Shows that the harness notices what it is there to notice: `limit` misbehaves on purpose.

use std::process::{Command, Output};

use catchup_bench::report::Report;

fn load(arguments: &[&str], server: &[&str]) -> (Output, Report) {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--server", env!("CARGO_BIN_EXE_limit"), "--json", "--wait"])
        .args(["--clients", "12", "--seconds", "0.3", "--warmup", "0.1"])
        .args(if arguments.contains(&"--senders") { &[][..] } else { &["--senders", "3"] })
        .args(arguments)
        .arg("--")
        .args(server)
        .output()
        .expect("load was built with this test");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output, report)
}

#[test]
fn an_honest_server_passes_in_every_mode_that_checks() {
    for mode in ["closed", "rate", "bun"] {
        for size in ["36", "64", "4000"] {
            let (output, report) = load(&["--mode", mode, "--size", size], &[]);
            assert!(output.status.success() && report.is_clean(), "{mode}, {size} B: {report}");
            assert!(report.has_ids && report.deliveries > 0, "{mode}, {size} B: {report}");
        }
    }
}

#[test]
fn a_grouping_server_passes_too() {
    let (output, report) = load(&[], &["--cork"]);
    assert!(output.status.success() && report.is_clean(), "{report}");
}

#[test]
fn a_planted_loss_is_found_and_does_not_hang_the_closed_loop() {
    let (output, report) = load(&[], &["--fault", "lose", "--fault-every", "50"]);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.faults.lost > 0 && report.faults.duplicated == 0, "{report}");
    // One victim: exactly the messages whose id 50 divides.
    assert!(report.faults.lost <= report.messages / 50, "{report}");
}

#[test]
fn a_planted_duplicate_is_found() {
    let (output, report) = load(&["--mode", "rate", "--rate", "500"], &["--fault", "double", "--fault-every", "50"]);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!(report.faults.duplicated, report.messages / 50 * 11, "{report}");
    assert_eq!(report.faults.lost, 0, "{report}");
}

#[test]
fn a_planted_swap_is_found_by_the_order_of_ids() {
    let (output, report) = load(&["--mode", "rate", "--rate", "500"], &["--fault", "swap", "--fault-every", "50"]);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.faults.misnumbered > 0, "{report}");
}

#[test]
fn a_swap_within_one_sender_is_found_by_its_numbers() {
    let arguments = ["--senders", "1", "--mode", "rate", "--rate", "500"];
    let (output, report) = load(&arguments, &["--fault", "swap", "--fault-every", "50"]);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.faults.reordered > 0, "{report}");
}

#[test]
fn idle_and_joins_end_with_their_figures() {
    let (output, report) = load(&["--mode", "idle"], &[]);
    assert!(output.status.success() && report.memory.is_some(), "{report}");
    let (output, report) = load(&["--mode", "joins"], &["--announce", "off"]);
    assert!(output.status.success() && report.joins_per_second.is_some(), "{report}");
}
