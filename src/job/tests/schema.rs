//! The JSON Schema accepts what the reader accepts, and refuses mistakes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use super::validator::is_valid;
use super::{MINIMAL, accepted, minimal, refused};
use crate::schema;

/// The values of a job file, as a validator sees them.
fn values(text: &str) -> Json {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

/// Jobs that the reader accepts.
fn good() -> Vec<String> {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs");
    let files = fs::read_dir(jobs).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let mut good: Vec<String> = files.collect();
    assert!(good.len() > 20);
    good.extend(
        [
            "kind = \"adam\"\nbeta1 = 0.5\nweight_decay = 0\n",
            "kind = \"nesterov\"\nmomentum = 0.5\n",
            "[schedule]\nkind = \"inv\"\ngamma = 1\n",
            "[schedule]\nkind = \"step\"\nevery = 5\n[exchange]\nclip_sigma = 0\nalgorithm = \"auto\"\n",
            "[schedule]\nkind = \"multistep\"\nmilestones = [1, 5]\nbase_batch = 8\nscaling = \"sqrt\"\n",
        ]
        .map(minimal),
    );
    good.extend(
        [
            "\"idx\"\ndir = \"a\"\nclasses = 256\nfirst_label = 1",
            "\"synthetic\"\nshape = [1, 2, 3]\nclasses = 1000",
            "\"text\"\ntrain = \"a\"\nvalid = \"b\"\ntest = \"c\"\nlevel = \"character\"\nvocabulary = 99999999",
            "\"genesis\"\nheld_out = 0.1",
            "\"synthetic-text\"\nvocabulary = 16777216\ntokens = 5",
            "\"digits\"\nvalidation = 0.5\nmean = [0.5]\nstd = [1]",
        ]
        .map(|data| MINIMAL.replace("\"digits\"", data)),
    );
    good.push(staged(
        "[[stage]]\nname = \"a\"\ntrain.steps = 1\noptimizer = { kind = \"adam\", beta1 = 0.5 }\n",
    ));
    good.push(staged(
        "[[stage]]\nname = \"a\"\nshrink = {}\ntrain.steps = 0\nlow_rank.ranks = { conv1 = 3 }\n",
    ));
    let canonical: Vec<String> = good.iter().map(|text| accepted(text, &[]).job.to_toml()).collect();
    good.extend(canonical);
    good
}

/// The minimal job, with `stages`.
fn staged(stages: &str) -> String {
    MINIMAL.replace("[train]\nepochs = 1\n", "") + stages
}

/// Jobs that the reader refuses.
fn bad() -> Vec<String> {
    let mut bad: Vec<String> = [
        "learning_rat = 1\n",
        "[exchnage]\ntimeout = 1\n",
        "momentum = 1\n",
        "momentum = \"high\"\n",
        "kind = \"adamw\"\n",
        "kind = \"adam\"\nmomentum = 0.5\n",
        "kind = \"nesterov\"\nmomentum = 0\n",
        "trust = 0.1\n",
        "decay_layers = [1]\n",
        "[schedule]\nevery = 5\n",
        "[schedule]\nkind = \"step\"\n",
        "[schedule]\nkind = \"multistep\"\nmilestones = []\n",
        "[schedule]\nwarmup_from = 1.5\n",
        "[exchange]\nclip_sigma = 0.0001\n",
        "[exchange]\nmin_elements = -1\n",
        "[exchange]\nverify_every = 1.5\n",
        "[exchange]\ntimeout = 0\n",
        "[checkpoint]\nbest = 1\n",
        "[sparsity]\nfactors = { conv1 = -1 }\n",
        "[[stage]]\nname = \"a\"\ntrain.steps = 1\n",
    ]
    .map(minimal)
    .into();
    bad.extend(
        [
            "\"digit\"",
            "\"digits\"\ndir = \"a\"",
            "\"digits\"\nlevel = \"word\"",
            "\"digits\"\nsamples = 3",
            "\"digits\"\nvalidation = 1.5",
            "\"synthetic\"\nshape = [3, 32]",
            "\"synthetic\"\nfirst_label = 1",
            "\"idx\"",
            "\"idx\"\ndir = \"a\"\nclasses = 257",
            "\"text\"",
            "\"kjv\"\ntrain = \"a\"",
            "\"kjv\"\nmirror = true",
            "\"ptb\"\nheld_out = 0.1",
            "\"synthetic-text\"\nvocabulary = 16777217",
        ]
        .map(|data| MINIMAL.replace("\"digits\"", data)),
    );
    bad.extend(
        [
            "train.steps = 1\n",
            "name = \"a\"\n",
            "name = \"a\"\ntrain.steps = 0\n",
            "name = \"a\"\ntrain.stps = 1\n",
        ]
        .map(|stage| staged(&format!("[[stage]]\n{stage}"))),
    );
    bad.push(staged("[[stage]]\nname = \"a\"\nshrink.round_to = 0\n"));
    bad.push(MINIMAL.replace("epochs = 1", "epochs = 1\nsteps = 2"));
    bad.push(MINIMAL.replace("epochs = 1", ""));
    bad.push(MINIMAL.replace("preset = \"lenet\"", ""));
    bad.push(MINIMAL.replace("lenet", "lennet"));
    bad.push(MINIMAL.replace("learning_rate = 0.1", ""));
    bad.push(format!("epochs = 3\n{MINIMAL}"));
    bad
}

#[test]
fn the_schema_agrees_with_the_reader() {
    let schema = schema();
    for text in good() {
        accepted(&text, &[]);
        assert!(is_valid(&values(&text), &schema), "{text}");
    }
    for text in bad() {
        refused(&text, &[]);
        assert!(!is_valid(&values(&text), &schema), "{text}");
    }
}

/// Every key has a description, and an editor can show its default.
#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    for key in crate::keys() {
        let (section, key) = key.split_once('.').unwrap();
        let property = &schema["properties"][section]["properties"][key];
        let words = property["description"].as_str().unwrap();
        assert!(!words.is_empty() && !words.contains("]("), "{section}.{key}: {words}");
    }
    assert_eq!(schema["properties"]["exchange"]["properties"]["clip_sigma"]["default"], json!(2.5));
    assert_eq!(schema["properties"]["train"]["properties"]["seed"]["default"], json!(1));
}

/// The validator of these tests agrees with that of Python, if that is installed.
#[test]
fn another_validator_agrees() {
    let script = "import json, sys\n\
                  try:\n    from jsonschema import Draft7Validator as V\n\
                  except ImportError:\n    sys.exit(77)\n\
                  schema, cases = json.load(sys.stdin)\n\
                  V.check_schema(schema)\n\
                  print(json.dumps([V(schema).is_valid(case) for case in cases]))\n";
    let mut command = Command::new("python3");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut python) = command.spawn() else { return };
    let (good, bad) = (good(), bad());
    let cases: Vec<Json> = good.iter().chain(&bad).map(|text| values(text)).collect();
    // Without the module, Python ends before it has read everything.
    let _ = python.stdin.take().unwrap().write_all(json!([schema(), cases]).to_string().as_bytes());
    let output = python.wait_with_output().unwrap();
    if output.status.code() == Some(77) {
        return;
    }
    let verdicts: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    let expected: Vec<bool> = good.iter().map(|_| true).chain(bad.iter().map(|_| false)).collect();
    assert_eq!(verdicts, expected);
}
