//! `ternflock bench allreduce`.

use std::path::Path;

use serde_json::Value;

use crate::launch::Launcher;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ternflock");

/// Every algorithm is right at sizes of no element, one, some and many, and counts what its formula says. Scripts outside
/// rely on these keys.
pub fn all_reduce(launcher: &Launcher, ranks: usize) {
    let arguments = ["bench", "allreduce", "--elements", "0,1,1e4,1e6", "--rounds", "2", "--json"];
    let end = launcher.start(ranks, Path::new(PROGRAM), &arguments).unwrap().finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    let line = end.output.lines().find(|line| line.starts_with('{')).expect("an object");
    let report: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&report["ranks"], &report["hosts"]), (&ranks.into(), &1.into()));
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4 * 7, "{line}");
    for case in cases {
        assert_eq!(case["verified"], true, "{case}");
        let [min, median, p99] = ["min_s", "p50_s", "p99_s"].map(|key| case[key].as_f64().unwrap());
        assert!(0.0 < min && min <= median && median <= p99, "{case}");
        let is_ternary = case["algorithm"].as_str().unwrap().ends_with("_ternary");
        assert_eq!(case["codec_s"].as_f64().is_some_and(|seconds| seconds > 0.0), is_ternary, "{case}");
        assert_eq!(case["codec_s"].is_null(), !is_ternary, "{case}");
        assert_eq!(case["bytes_sent_per_rank"], case["formula_bytes_per_rank"], "{case}");
        let is_ours = case["algorithm"] != "mpi_allreduce_f32";
        assert_eq!(case["bytes_sent_per_rank"].is_u64(), is_ours, "{case}");
        if is_ours && ranks > 1 {
            assert!(case["bytes_sent_per_rank"].as_u64().unwrap() > 0 || case["elements"] == 0, "{case}");
        }
    }
}

/// Ranks that were told to measure different sizes say so; they do not wait for each other.
pub fn disagreeing(launcher: &Launcher, ranks: usize) {
    let measure = |elements| format!("exec {PROGRAM} bench allreduce --rounds 1 --elements {elements}");
    let first = "test ${OMPI_COMM_WORLD_RANK:-$PMI_RANK} = 0";
    let script = format!("if {first}; then {}; else {}; fi", measure("1e4"), measure("2e4"));
    let end = launcher.start(ranks, Path::new("/bin/sh"), &["-c", &script]).unwrap().finish().unwrap();
    assert_eq!(end.code, Some(7), "{}", end.output);
    let message = "the number of elements to measure is 20000 on rank 1 and 10000 on rank 0";
    assert!(end.output.contains(message), "{}", end.output);
}

/// Vectors for which the machine has no room are refused, once, before any rank asks for their memory.
pub fn too_large(launcher: &Launcher, ranks: usize) {
    // A rank takes more than 32 bytes an element.
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    let elements = kilobytes * 1024 / 32;
    if elements >= 1 << 34 {
        return; // refused as too long, whatever the memory
    }
    let arguments = ["bench", "allreduce", "--rounds", "1", "--elements", &elements.to_string()];
    let end = launcher.start(ranks, Path::new(PROGRAM), &arguments).unwrap().finish().unwrap();
    assert_eq!(end.code, Some(2), "{}", end.output);
    let message = format!("--elements: {elements} elements on {ranks} ranks of a node need ");
    assert_eq!(end.output.matches(&message).count(), 1, "{}", end.output);
}
