//! `ternflock bench allreduce`.

use std::path::Path;

use serde_json::Value;

use crate::launch::{ENVIRONMENT, Launcher};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ternflock");

/// Ways to average: five all-reduces of ternaries, the same with coded messages, float32, PowerSGD, and the MPI library's.
const WAYS: usize = 13;

/// Every algorithm is correct for vectors of zero, one, some and many elements, and sends the bytes of its
/// formula. External scripts rely on these keys.
pub fn all_reduce(launcher: &Launcher, ranks: usize) {
    let arguments = ["bench", "allreduce", "--elements", "0,1,1e4,1e6", "--rounds", "2", "--json"];
    let end = launcher.start(ranks, Path::new(PROGRAM), &arguments).unwrap().finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    let line = end.output.lines().find(|line| line.starts_with('{')).expect("an object");
    let report: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&report["ranks"], &report["hosts"]), (&ranks.into(), &1.into()));
    assert_interference(&report["interference"], &end.output);
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4 * WAYS, "{line}");
    for case in cases {
        assert_eq!(case["verified"], true, "{case}");
        let [min, median, p99] = ["min_s", "p50_s", "p99_s"].map(|key| case[key].as_f64().unwrap());
        assert!(0.0 < min && min <= median && median <= p99, "{case}");
        let algorithm = case["algorithm"].as_str().unwrap();
        let is_coded = algorithm.ends_with("_coded");
        let compresses = is_coded || algorithm.ends_with("_ternary") || algorithm == "powersgd";
        assert_eq!(case["codec_s"].as_f64().is_some_and(|seconds| seconds > 0.0), compresses, "{case}");
        assert_eq!(case["codec_s"].is_null(), !compresses, "{case}");
        let [sent, formula] = ["bytes_sent_per_rank", "formula_bytes_per_rank"].map(|key| case[key].as_u64());
        assert!(if is_coded { sent <= formula } else { sent == formula }, "{case}");
        let is_ours = case["algorithm"] != "mpi_allreduce_f32";
        assert_eq!(case["bytes_sent_per_rank"].is_u64(), is_ours, "{case}");
        if is_ours && ranks > 1 {
            assert!(case["bytes_sent_per_rank"].as_u64().unwrap() > 0 || case["elements"] == 0, "{case}");
        }
    }
}

/// Interference is reported, with one warning if it is too much.
fn assert_interference(found: &Value, output: &str) {
    let is_busy = found["busy"].as_bool().unwrap_or_else(|| panic!("{found}"));
    let warnings =
        output.matches("ternflock: warning: this machine was busy during the measurement: ").count();
    assert_eq!(warnings, usize::from(is_busy), "{output}");
    for key in ["waiting", "others"] {
        assert!(found[key].as_f64().is_some_and(|value| value >= 0.0) || found[key].is_null(), "{found}");
    }
}

/// All ranks of the world. Every method trains, sends the bytes of its formula, and reports on each rank.
/// External scripts rely on the keys.
pub fn scaling(launcher: &Launcher, ranks: usize) {
    let words = "bench scaling jobs/lenet-digits.toml --ways all --steps 2 --rounds 2 --json";
    let mut arguments: Vec<&str> = words.split(' ').collect();
    if ranks == 3 {
        arguments.push("--weak");
    }
    let end = launcher.start(ranks, Path::new(PROGRAM), &arguments).unwrap().finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    let line = end.output.lines().find(|line| line.starts_with('{')).expect("an object");
    let scaling: Value = serde_json::from_str(line).unwrap();
    let [point] = &scaling["points"].as_array().unwrap()[..] else { panic!("{line}") };
    assert_eq!((&point["ranks"], &point["hosts"]), (&ranks.into(), &1.into()));
    let (mode, batch) = if ranks == 3 { ("weak", 96) } else { ("strong", 32) };
    assert_eq!(
        (&scaling["mode"], &point["global_batch"], &point["unit"]),
        (&mode.into(), &batch.into(), &"samples".into())
    );
    assert_interference(&point["interference"], &end.output);
    let ways = point["ways"].as_array().unwrap();
    assert_eq!(ways.len(), WAYS, "{line}");
    for way in ways {
        let [fastest, step, slowest] =
            ["fastest_s", "step_s", "slowest_s"].map(|key| way[key].as_f64().unwrap());
        assert!(0.0 < fastest && fastest <= step && step <= slowest, "{way}");
        assert!((way["rate"].as_f64().unwrap() * step / f64::from(batch) - 1.0).abs() < 1e-9, "{way}");
        let (sent, phases) = (way["bytes_sent"].as_array().unwrap(), way["phases"].as_array().unwrap());
        assert_eq!((sent.len(), phases.len()), (ranks, ranks), "{way}");
        assert!(phases.iter().all(|phases| phases["compute"].as_f64().unwrap() > 0.0), "{way}");
        let is_counted = way["way"] != "mpi_allreduce_f32" && ranks > 1;
        assert!(sent.iter().all(|sent| (sent.as_u64().unwrap() > 0) == is_counted), "{way}");
    }
}

/// The ranks count as those of one node: forecasts assume the same number on each of more nodes, and all
/// ranks are measured at the same time.
pub fn forecast(launcher: &Launcher, ranks: usize) {
    let run = |words: &str| {
        let words = format!("forecast jobs/lenet-digits.toml --steps 2 {words}");
        let arguments: Vec<&str> = words.split(' ').collect();
        launcher.start(ranks, Path::new(PROGRAM), &arguments).unwrap().finish().unwrap()
    };
    let end = run("--nodes 1,4 --json");
    assert_eq!(end.code, Some(0), "{}", end.output);
    let line = end.output.lines().find(|line| line.starts_with('{')).expect("an object");
    let forecast: Value = serde_json::from_str(line).unwrap();
    assert_interference(&forecast["interference"], &end.output);
    let points = forecast["networks"][0]["scaling"]["points"].as_array().unwrap();
    let found: Vec<_> = points.iter().map(|point| (point["ranks"].clone(), point["hosts"].clone())).collect();
    assert_eq!(found, [(ranks.into(), 1.into()), ((4 * ranks).into(), 4.into())]);
    for way in points[0]["ways"].as_array().unwrap() {
        assert_eq!(way["phases"][0]["exchange"].as_f64().unwrap() > 0.0, ranks > 1, "{way}");
    }
    let end = run("--nodes 1..64 --json");
    assert_eq!(end.code, Some(2), "{}", end.output);
    assert_eq!(end.output.matches("cannot share a batch of 32 samples").count(), 1, "{}", end.output);
}

/// Several numbers of ranks, each started by the named launcher.
pub fn several(launcher: &Launcher, ranks: usize) {
    let picture = std::env::temp_dir().join(format!("ternflock-scaling-{}.svg", std::process::id()));
    let start = |command: &str, numbers: &str| {
        let mut process = std::process::Command::new(PROGRAM);
        process.args(
            "bench scaling jobs/lenet-digits.toml --steps 1 --rounds 1 --ways ring_ternary --json".split(' '),
        );
        process
            .envs(ENVIRONMENT)
            .args(["--ranks", numbers, "--launcher", command, "--svg"])
            .arg(&picture)
            .output()
            .unwrap()
    };
    let command = launcher.command("{}");
    let done = start(&command, &format!("{ranks},1"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let scaling: Value = serde_json::from_slice(&done.stdout).unwrap();
    let found: Vec<_> =
        scaling["points"].as_array().unwrap().iter().map(|point| point["ranks"].clone()).collect();
    assert_eq!(found, [Value::from(1), ranks.into()]);
    assert!(std::fs::read_to_string(&picture).unwrap().contains("lenet-digits: samples/s by ranks"));
    std::fs::remove_file(&picture).unwrap();
    // A launcher that ignores the requested number of ranks.
    let refused = start(&launcher.command("2"), "1");
    assert_eq!(refused.status.code(), Some(2));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("started 2 ranks instead of 1"), "{message}");
    assert!(!picture.exists());
}

/// Ranks with different sizes to measure report that and do not wait for each other.
pub fn disagreeing(launcher: &Launcher, ranks: usize) {
    let measure = |elements| format!("exec {PROGRAM} bench allreduce --rounds 1 --elements {elements}");
    let first = "test ${OMPI_COMM_WORLD_RANK:-$PMI_RANK} = 0";
    let script = format!("if {first}; then {}; else {}; fi", measure("1e4"), measure("2e4"));
    let end = launcher.start(ranks, Path::new("/bin/sh"), &["-c", &script]).unwrap().finish().unwrap();
    assert_eq!(end.code, Some(7), "{}", end.output);
    let message = "the number of elements to measure is 20000 on rank 1 and 10000 on rank 0";
    assert!(end.output.contains(message), "{}", end.output);
}

/// Vectors that do not fit into memory are refused, once, before any rank allocates them.
pub fn too_large(launcher: &Launcher, ranks: usize) {
    // A rank needs more than 32 bytes per element.
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
