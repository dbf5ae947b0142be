//! `train.precision`, `--precision` and `--isa`: what is computed, what is said about it, and what is refused.

use serde_json::Value;
use support::program::{Place, finish};
use ternflock::tensor::{Isa, Precision};

use crate::PROGRAM;

const LAST: &str = "checkpoints/step-0000000020.h5";
const BF16: &str = "--set train.precision=bf16";
/// Printed for bf16 if no instructions make it faster.
const SLOW: &str = "bf16 products by float32 arithmetic on rounded operands, no faster than float32";

fn start_event(place: &Place, run: &str) -> Value {
    let metrics = place.read(&format!("{run}/metrics.jsonl"));
    serde_json::from_str(metrics.lines().next().unwrap()).unwrap()
}

#[test]
fn a_job_in_bf16_is_evaluated_in_bf16() {
    let place = Place::new(PROGRAM);
    let train = place.run(&format!("train tiny.toml --run-dir run {BF16}")).ended(0);
    let start = start_event(&place, "run");
    let products = Precision::Bf16.described();
    assert_eq!((&start["precision"], &start["products"]), (&"bf16".into(), &products.into()), "{start}");
    let line = format!("\n{products}; vector instructions: {}\n", start["vectors"].as_str().unwrap());
    assert!(train.err.contains(&line), "no `{line}` in {}", train.err);
    let checkpoint = format!("run/{LAST}");
    assert_eq!(place.inspect(&checkpoint)["products"], Precision::Bf16.arithmetic());
    let eval = |more: &str| place.run(&format!("eval {checkpoint} --json {more}")).json();
    let [own, bf16, float32] = ["", "--precision bf16", "--precision float32"].map(eval);
    assert_eq!([&own["precision"], &bf16["precision"], &float32["precision"]], ["bf16", "bf16", "float32"]);
    assert_eq!(own["loss"], bf16["loss"]);
    let [own, float32] = [own, float32].map(|eval| eval["loss"].as_f64().unwrap());
    assert!((own - float32).abs() < 0.05, "{own} and {float32}");
    let said = place.run(&format!("eval {checkpoint}")).ended(0).out;
    assert!(said.contains(products), "{said}");
    // Surgery keeps the job, so its networks are evaluated in the same precision.
    place.run(&format!("compress {checkpoint} -o small.h5 --shrink")).ended(0);
    assert_eq!(place.run("eval small.h5 --json").json()["precision"], "bf16");
}

#[test]
fn float32_is_the_default() {
    let place = Place::new(PROGRAM);
    let train = place.run("train tiny.toml --run-dir run").ended(0);
    assert!(train.err.contains("\nfloat32 products; vector instructions: "), "{}", train.err);
    assert_eq!(start_event(&place, "run")["precision"], "float32");
    assert_eq!(place.run(&format!("eval run/{LAST} --json")).json()["precision"], "float32");
    assert!(!place.run(&format!("eval run/{LAST}")).ended(0).out.contains("products"));
}

#[test]
fn an_unknown_precision_is_refused_with_the_nearest() {
    let place = Place::new(PROGRAM);
    let near = "train.precision must be one of \"float32\", \"bf16\" (did you mean \"bf16\"?)";
    place.run("train tiny.toml --set train.precision=bf61").refused(2, &[near]);
    place.run("eval none.h5 --precision float23").refused(2, &["--precision", "'float32'"]);
    place.run("bench step --precision half").refused(2, &["--precision", "float32, bf16"]);
}

/// A process uses one instruction set, so each set has its own run. AVX512_BF16 and AMX do not change float32 results.
/// In bf16, AVX512_BF16 gives the same bits as the portable code, because no sum of this network is below 2^-126.
#[test]
fn every_instruction_set_trains_the_same_network() {
    let place = Place::new(PROGRAM);
    for precision in Precision::ALL.map(Precision::name) {
        let run = |isa: Isa| {
            let directory = format!("{precision}-{}", isa.name());
            let set = format!("--set train.precision={precision}");
            let train =
                place.run(&format!("train tiny.toml --run-dir {directory} {set} --isa {}", isa.name()));
            let err = train.ended(0).err;
            assert_eq!(err.contains(SLOW), precision == "bf16" && !isa.has_avx512_bf16(), "{err}");
            let vectors = match isa {
                Isa::Scalar => "none",
                Isa::Neon => "NEON",
                Isa::Avx2 => "AVX2",
                Isa::Avx512 | Isa::Avx512Bf16 | Isa::AmxBf16 => "AVX-512",
            };
            assert_eq!(start_event(&place, &directory)["vectors"], vectors);
            let end = place.inspect(&format!("{directory}/{LAST}"));
            (isa, end["hash"].clone(), end["metrics"]["validation_loss"].as_f64().unwrap())
        };
        let all: Vec<_> = Isa::available().map(run).collect();
        let (_, _, last) = all.last().unwrap();
        for (isa, _, loss) in &all {
            assert!((loss - last).abs() < 0.02, "{precision}, {}: {loss} and {last}", isa.name());
        }
        let hash = |wanted: Isa| all.iter().find(|(isa, ..)| *isa == wanted).map(|(_, hash, _)| hash);
        if let (Some(without), Some(with)) = (hash(Isa::Avx512), hash(Isa::Avx512Bf16)) {
            assert_eq!(without, with, "{precision}");
        }
        // In bf16, AMX adds in a different order.
        if let ("float32", Some(without), Some(with)) = (precision, hash(Isa::Avx512), hash(Isa::AmxBf16)) {
            assert_eq!(without, with);
        }
    }
}

#[test]
fn missing_instructions_are_refused() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml").ended(0);
    let checkpoint = format!("runs/tiny/{LAST}");
    let missing: Vec<Isa> =
        Isa::ALL.into_iter().filter(|isa| Isa::available().all(|has| has != *isa)).collect();
    assert!(!missing.is_empty(), "no processor has both NEON and AVX2");
    for isa in missing.into_iter().map(Isa::name) {
        let message =
            format!("--isa: this processor does not have the instruction set `{isa}`; it has `scalar`");
        for command in [
            "train tiny.toml",
            &format!("eval {checkpoint}"),
            "bench step",
            &format!("bench infer {checkpoint}"),
        ] {
            place.run(&format!("{command} --isa {isa}")).refused(2, &[&message]);
        }
    }
    place.run("train tiny.toml --isa axv2").refused(2, &["--isa", "'avx2'"]);
}

/// A run in bf16 that resumes without the instructions continues, and says what that changes.
#[test]
fn a_run_that_resumes_with_other_instructions_says_so() {
    let place = Place::new(PROGRAM);
    let words = format!("train tiny.toml --run-dir run {BF16}");
    let first = place.run(&words).ended(0);
    assert!(!first.err.contains("until now"), "{}", first.err);
    let scalar = place.run("train --resume run --isa scalar").ended(0);
    let mut expected = Vec::new();
    if Isa::available().any(|isa| isa != Isa::Scalar) {
        expected.push("the widest vector instruction set of rank 0 was ");
        expected.push(" until now and is none from here");
    }
    let products = format!(
        "the arithmetic of products on rank 0 was {} until now and is ",
        Precision::Bf16.arithmetic()
    );
    if Isa::in_use().has_avx512_bf16() {
        expected.push(&products);
        expected.push("is bf16 by float32 arithmetic from here");
    }
    for part in expected {
        assert!(scalar.err.contains(part), "no `{part}` in {}", scalar.err);
    }
}

#[test]
fn another_precision_must_be_allowed() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run --set train.steps=5").ended(0);
    let words = format!("train --resume run {BF16}");
    place.run(&words).refused(2, &["train.precision", "--allow-changes accepts the changes"]);
    let resumed = place.run(&format!("{words} --allow-changes --set train.steps=10")).ended(0);
    assert!(resumed.err.contains("train.precision: \"float32\" -> \"bf16\""), "{}", resumed.err);
}

/// Small products are not split, and larger work is split by outputs, never by sums.
#[test]
fn the_number_of_threads_does_not_matter() {
    let place = Place::new(PROGRAM);
    let hash = |threads: &str| {
        let run = format!("on-{threads}");
        let mut command =
            place.command(&["train", "tiny.toml", "--run-dir", &run, "--set", "train.precision=bf16"]);
        finish(command.env("OPENBLAS_NUM_THREADS", threads)).ended(0);
        assert_eq!(start_event(&place, &run)["threads"].to_string(), threads);
        place.inspect(&format!("{run}/{LAST}"))["hash"].clone()
    };
    assert_eq!(hash("1"), hash("2"));
}

#[test]
fn benchmarks_name_their_arithmetic() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    let infer = format!("bench infer run/{LAST} --seconds 0");
    for command in ["bench step --model lenet --batch 4 --seconds 0", &infer] {
        for precision in Precision::ALL {
            let words = format!("{command} --precision {}", precision.name());
            let json = place.run(&format!("{words} --json")).json();
            assert_eq!(json["products"], precision.described(), "{json}");
            assert!(json["instructions"].is_string(), "{json}");
            let said = place.run(&words).ended(0).out;
            assert!(said.contains(&format!("{}; vector instructions: ", precision.described())), "{said}");
        }
        let scalar = place.run(&format!("{command} --isa scalar --json")).json();
        assert_eq!(scalar["instructions"], "none", "{scalar}");
    }
}
