//! `ternflock bench infer`: its output, and refused requests.

use serde_json::Value;
use support::program::Place;

use crate::PROGRAM;

const CHECKPOINT: &str = "run/checkpoints/step-0000000020.h5";

/// A place where `tiny.toml` has been trained, and once more with other random numbers.
fn trained() -> Place {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    place.run("train tiny.toml --run-dir other --set train.seed=2").ended(0);
    place
}

fn other() -> String {
    CHECKPOINT.replace("run/", "other/")
}

fn positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|value| value > 0.0)
}

/// External scripts rely on these keys.
#[test]
fn networks_are_timed_side_by_side() {
    let place = trained();
    let times =
        place.run(&format!("bench infer {CHECKPOINT} {} --batch 4 --seconds 0 --json", other())).json();
    assert_eq!((&times["batch"], &times["threads"], &times["rounds"]), (&4.into(), &1.into(), &3.into()));
    let models = times["models"].as_array().unwrap();
    assert_eq!(models.len(), 2);
    assert_eq!((&models[0]["path"], &models[1]["path"]), (&CHECKPOINT.into(), &other().into()));
    for model in models {
        // 4 filters of 3x3 and their biases; 36 to 10.
        assert_eq!(model["params"], 40 + 370);
        assert_eq!(model["flops"], 2 * (4 * 9 * 36 + 36 * 10));
        assert!(
            positive(&model["median_ms"]) && positive(&model["cpu_ms"]) && positive(&model["speed_up"]),
            "{model}"
        );
        assert_eq!(model.get("verified"), None);
        let layers = model["layers"].as_array().unwrap();
        let names: Vec<&str> = layers.iter().map(|layer| layer["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["conv1", "relu_2", "pool1", "flatten_4", "logits"]);
        assert!(
            layers.iter().all(|layer| layer["median_ms"].is_f64() && layer.get("csr").is_none()),
            "{model}"
        );
    }
    let text = place.run(&format!("bench infer {CHECKPOINT} {} --seconds 0", other())).ended(0).out;
    for part in ["batch 64, 1 thread,", "A", "B", CHECKPOINT, "speed-up", "1.00x", "conv1", "410"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn the_sparse_form_stands_beside_the_dense_one() {
    let place = trained();
    let times = place.run(&format!("bench infer {CHECKPOINT} --batch 3 --seconds 0 --csr --json")).json();
    let layers = times["models"][0]["layers"].as_array().unwrap();
    for (layer, has) in layers.iter().zip([true, false, false, false, true]) {
        assert_eq!(layer.get("csr").is_some(), has, "{layer}");
        assert!(!has || positive(&layer["csr"]["median_ms"]) && layer["csr"]["zeros"] == 0.0, "{layer}");
    }
    let text = place.run(&format!("bench infer {CHECKPOINT} --seconds 0 --csr")).ended(0).out;
    assert!(text.contains("A CSR") && text.contains("0.0 %"), "{text}");
}

#[test]
fn what_computes_the_same_is_told_from_what_does_not() {
    let place = trained();
    let same =
        place.run(&format!("bench infer {CHECKPOINT} {CHECKPOINT} --verify --seconds 0 --json")).json();
    let verified = &same["models"][1]["verified"];
    assert_eq!(verified["largest_difference"], 0.0);
    assert!(positive(&verified["tolerance"]) && positive(&verified["largest_logit"]), "{verified}");
    assert_eq!(same["models"][0].get("verified"), None);
    let text = place.run(&format!("bench infer {CHECKPOINT} {CHECKPOINT} --verify --seconds 0")).ended(0).out;
    assert!(text.contains("B computes the same as A: logits differ by at most 0.0e0"), "{text}");
    let other = other();
    let differs = place.run(&format!("bench infer {CHECKPOINT} {other} --verify"));
    differs
        .refused(4, &[&format!("{other}: does not compute the same as `{CHECKPOINT}`"), "rounding explains"]);
    place.run(&format!("bench infer {CHECKPOINT} --verify")).refused(2, &["--verify", "two checkpoints"]);
}

#[test]
fn language_models_are_timed_on_made_tokens() {
    let place = Place::new(PROGRAM);
    place.write(
        "text.toml",
        "[data]\ndataset = \"genesis\"\nvocabulary = 50\nsequence_length = 5\n[train]\nsteps = 2\nglobal_batch = 4\neval_every = 0\n\
         [optimizer]\nlearning_rate = 1.0\n[[model.layers]]\nname = \"embedding\"\ntype = \"embedding\"\nfeatures = 8\n\
         [[model.layers]]\nname = \"lstm1\"\ntype = \"lstm\"\nhidden = 8\n[[model.layers]]\nname = \"logits\"\ntype = \"linear\"\nunits = 50\n",
    );
    place.run("train text.toml --run-dir text").ended(0);
    place.run("train tiny.toml --run-dir run").ended(0);
    let text = "text/checkpoints/step-0000000002.h5";
    let times = place.run(&format!("bench infer {text} {text} --verify --csr --seconds 0 --json")).json();
    assert_eq!(times["batch"], 10);
    assert_eq!(times["models"][1]["verified"]["largest_difference"], 0.0);
    let shown = place.inspect(text);
    assert_eq!(shown["layers"][1]["kept"]["hidden_units"], serde_json::json!([8, 8]));
    let mixed = place.run(&format!("bench infer {CHECKPOINT} {text}"));
    mixed.refused(2, &["takes images of 1x8x8", "takes tokens, 5 of 50", "the same input"]);
}

#[test]
fn presets_are_timed_with_other_hidden_units() {
    let place = Place::new(PROGRAM);
    let line = "bench infer --model lstm-small --hidden 20,30 --vs-hidden 3,4 --embedding 8 --steps 2 --batch 2 --seconds 0";
    let times = place.run(&format!("{line} --json")).json();
    let models = times["models"].as_array().unwrap();
    assert_eq!(
        (&models[0]["path"], &models[1]["path"]),
        (&"lstm-small 20,30".into(), &"lstm-small 3,4".into())
    );
    let params = |first: u64, second: u64| {
        let embedding = 8 * 10_000;
        let levels = 4 * first * (8 + first + 1) + 4 * second * (first + second + 1);
        embedding + levels + 10_000 * (second + 1)
    };
    assert_eq!((&models[0]["params"], &models[1]["params"]), (&params(20, 30).into(), &params(3, 4).into()));
    assert!(place.run(line).ended(0).out.contains("lstm-small 3,4"));
    let own = place.run(&format!("{line} --vs-embedding 5 --json")).json();
    assert_eq!(own["models"][0]["params"], models[0]["params"]);
    assert!(own["models"][1]["params"].as_u64() < models[1]["params"].as_u64());
    place.run("bench infer --model lenet --batch 2 --seconds 0 --json").json();
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    for (line, code, parts) in [
        ("nowhere.h5", 4, &["nowhere.h5: cannot be read"][..]),
        ("tiny.toml", 4, &["tiny.toml: is not a ternflock checkpoint"]),
        ("", 2, &["CHECKPOINT", "--help"]),
        ("run/checkpoints/best.h5 --batch 0", 2, &["--batch"]),
        ("run/checkpoints/best.h5 --threads 0", 2, &["--threads"]),
        ("run/checkpoints/best.h5 --seconds inf", 2, &["--seconds", "from 0 to 86400"]),
        ("run/checkpoints/best.h5 --seconds nan", 2, &["--seconds", "from 0 to 86400"]),
        ("run/checkpoints/best.h5 --model lenet", 2, &["--model"]),
        ("run/checkpoints/best.h5 --hidden 5,5", 2, &["--hidden", "cannot be used with"]),
        ("run/checkpoints/best.h5 --steps 5", 2, &["--steps", "cannot be used with"]),
        ("--hidden 5,5", 2, &["--model"]),
        ("--model lstm-large --vs-embedding 5", 2, &["--vs-hidden"]),
        ("--model resnett20", 2, &["--model: no preset is called `resnett20`", "did you mean `resnet-20`"]),
        ("--model lennet", 2, &["no preset is called `lennet`", "did you mean `lenet`"]),
        ("--model lstm-large --hidden 373", 2, &["--hidden", "has 2 recurrent layers", "not 1"]),
        ("--model lstm-large --vs-hidden 373,315,3", 2, &["--hidden", "has 2 recurrent layers", "not 3"]),
        ("--model lstm-large --hidden 373,0", 2, &["--hidden", "at least 1"]),
        ("--model lenet --hidden 5", 2, &["`lenet` has no recurrent layers"]),
        ("--model lenet --embedding 5", 2, &["--embedding", "`lenet` has no embedding"]),
        ("--model lenet --verify", 2, &["--verify"]),
    ] {
        place.run(&format!("bench infer {line}")).refused(code, parts);
    }
}
