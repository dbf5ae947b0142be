//! Job files and overrides that are refused: exit code 2, and the place of every error.

use support::program::{Place, TINY, finish};

use crate::PROGRAM;

/// The message for a `job.toml` with the content `text`; the command must have no effect.
#[track_caller]
fn refused(text: &str, sets: &[&str], parts: &[&str]) {
    let place = Place::new(PROGRAM);
    place.write("job.toml", text);
    let mut arguments = vec!["train", "job.toml"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    finish(&mut place.command(&arguments)).refused(2, parts);
    assert_eq!(place.names("."), ["job.toml", "tiny.toml"]);
}

/// `text` with the only occurrence of `from` replaced by `to`, and its line.
fn replaced(from: &str, to: &str) -> (String, usize) {
    assert_eq!(TINY.matches(from).count(), 1, "{from}");
    (TINY.replace(from, to), TINY[..TINY.find(from).unwrap()].lines().count() + 1)
}

#[test]
fn a_missing_job_file_is_named() {
    let place = Place::new(PROGRAM);
    place
        .run("train nowhere/job.toml")
        .refused(2, &["nowhere/job.toml: cannot read the job file: No such file"]);
    place.run("train .").refused(2, &["cannot read the job file: Is a directory"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_line() {
    let (text, line) = replaced("learning_rate = 0.05", "learning_rat = 0.05\nmomentum = 1.5");
    let text = text.replace("[train]", "[trian]").replace("\"digits\"", "8");
    let trian = 1 + TINY.lines().position(|line| line == "[train]").unwrap();
    refused(
        &text,
        &["exchange.gradients=ternery", "train.sead=3"],
        &[
            "ternflock: job.toml:2: data.dataset must be",
            &format!("\njob.toml:{trian}: unknown section [trian]; did you mean [train]?\n"),
            &format!(
                "\njob.toml:{line}: unknown key `learning_rat` in [optimizer]; did you mean `learning_rate`?\n"
            ),
            &format!(
                "\njob.toml:{}: optimizer.momentum must be at least 0 and below 1, found the float 1.5\n",
                line + 1
            ),
            "\n--set exchange.gradients=ternery: exchange.gradients must be one of \"ternary\", \"float32\", \"powersgd\", \"auto\" (did you mean \"ternary\"?), found",
            "\n--set train.sead=3: unknown key `sead` in [train]; did you mean `seed`?\n",
        ],
    );
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    refused("[data]\ndataset = \n", &[], &["job.toml:2: not valid TOML"]);
}

/// An invalid value of a layer is reported with its key.
#[test]
fn layers_that_cannot_be_are_refused_with_their_key_or_shapes() {
    let place = Place::new(PROGRAM);
    for (from, to, parts) in [
        ("kernel = 3", "kernel = -3", &["(conv2d): kernel must be a whole number of at least 0, or two"][..]),
        ("kernel = 3", "kernel = [1, 2, 3]", &["kernel must be", "[height, width]"]),
        (
            "filters = 4",
            "filters = \"four\"",
            &["filters must be a whole number of at least 0, found string \"four\""],
        ),
        (
            "filters = 4",
            "filters = -4",
            &["filters must be a whole number of at least 0, found integer `-4`"],
        ),
        ("kernel = 3", "kernel = 3\nbias = 1", &["bias must be a boolean, found integer `1`"]),
        ("kernel = 3", "kernel = 3\ninit = \"he_norml\"", &["init: unknown value `he_norml`; did you mean"]),
        (
            "kernel = 3",
            "kernel = 3\ngroups = 2",
            &["groups must divide filters and channels", "4 filters and 1 channel"],
        ),
        (
            "kernel = 3",
            "kernel = 11\npadding = 1",
            &["a kernel of height 11 does not fit height 8 with padding 1"],
        ),
        ("kernel = 3", "kernel = 3\npadding = 3", &["padding 3 must be smaller than the kernel 3"]),
        ("\"relu\"", "\"dropout\"\nrate = 1.0", &["rate = 1 must be at least 0 and below 1"]),
        ("\"relu\"", "\"batch_norm\"\nname = \"b\"\nghost_batch = 5", &["5 does not divide the 32 samples"]),
        ("units = 10", "units = 11", &["ends in 11, but the data has 10 classes"]),
        ("filters = 4", "filters = 1000000000000", &["[1000000000000, 1, 3, 3] is larger than the limit"]),
    ] {
        assert!(TINY.contains(from));
        place.write("wrong.toml", TINY.replacen(from, to, 1));
        place
            .run("train wrong.toml --run-dir run")
            .refused(2, &[&["ternflock: wrong.toml:"], parts].concat());
    }
    assert_eq!(place.names("."), ["tiny.toml", "wrong.toml"]);
}

#[test]
fn overrides_are_blamed_as_they_were_given() {
    for (set, message) in [
        ("nothing", "expected section.key=value, such as `train.steps=100`"),
        ("steps=3", "unknown key `steps` at the top of the file; it belongs in [train]"),
        ("optimizer.learning_rate=fast", "found the string \"fast\""),
        ("optimizer.learning_rate=inf", "must be a finite number"),
        ("train.global_batch=0", "train.global_batch must be at least 1, found the integer 0"),
        ("train.steps=-1", "found the integer -1"),
        (
            "data.dataset=minst",
            "must be one of \"mnist\", \"fashion-mnist\", \"cifar-10\", \"digits\", \"synthetic\", \"idx\", \"genesis\", \"kjv\", \"ptb\", \"text\", \"synthetic-text\", \"hdf5\", \"npy\", \"npz\", \"folder\", \"csv\", \"diabetes\", \"sunspots\" (did you mean \"mnist\"?), found \"minst\"",
        ),
        ("schedule.power=2", "schedule.power belongs to kind"),
    ] {
        refused(TINY, &[set], &[&format!("ternflock: --set {set}: "), message]);
    }
    // An error in a value that --set replaced does not refer to a line of the job file.
    refused(TINY, &["train.epochs=0"], &["--set train.epochs=0: train.epochs must be at least 1"]);
}

#[test]
fn an_unknown_preset_is_refused_with_the_nearest() {
    let model = TINY.find("[[model.layers]]").unwrap();
    let text = format!("{}[model]\npreset = \"lennet\"\n", &TINY[..model]);
    let line = text.lines().count();
    refused(&text, &[], &[&format!("job.toml:{line}: no preset is called `lennet`; did you mean `lenet`?")]);
}

/// Problems of the preset, the layers and the sections are all reported in one run.
#[test]
fn problems_of_networks_are_said_with_all_others() {
    let (typo, line) = replaced("filters = 4", "filter = 4");
    let text = typo.replace("\"relu\"", "\"rleu\"").replace("\"digits\"", "\"digist\"");
    let relus: Vec<usize> =
        text.lines().enumerate().filter(|(_, line)| line.contains("rleu")).map(|(at, _)| at).collect();
    refused(
        &text,
        &["train.sead=3"],
        &[
            "ternflock: job.toml:2: data.dataset must be one of ",
            "(did you mean \"digits\"?)",
            &format!(
                "\njob.toml:{}: layer `conv1` (conv2d): unknown key `filter`; did you mean `filters`?\n",
                line - 3
            ),
            &format!(
                "\njob.toml:{}: layer `rleu_2` (rleu): unknown type `rleu`; did you mean `relu`?\n",
                relus[0]
            ),
            "\n--set train.sead=3: unknown key `sead` in [train]; did you mean `seed`?\n",
        ],
    );
    let model = TINY.find("[[model.layers]]").unwrap();
    let text = format!("{}[model]\npreset = \"lennet\"\n", TINY[..model].replace("digits", "minst"));
    refused(
        &text,
        &[],
        &["(did you mean \"mnist\"?)", "no preset is called `lennet`; did you mean `lenet`?"],
    );
}

/// Each with the line of its `[[model.layers]]`, the name of the layer, and the expected and actual input.
#[test]
fn a_layer_that_does_not_fit_is_named_with_both_shapes() {
    let layer = |number: usize| {
        let heads = TINY.lines().enumerate().filter(|(_, line)| *line == "[[model.layers]]");
        heads.map(|(index, _)| index + 1).nth(number).unwrap()
    };
    let at = |line: usize, message: &str| format!("ternflock: job.toml:{line}: {message}");

    let (wide, _) = replaced("kernel = 3", "kernel = 9");
    let message = "layer `conv1` (conv2d): a kernel of height 9 does not fit height 8 with padding 0";
    refused(&wide, &[], &[&at(layer(0), message)]);

    let (no_flatten, _) = replaced("type = \"flatten\"", "type = \"relu\"");
    let message =
        "layer `logits` (linear): takes vectors, got images of 4x3x3; put a `flatten` layer before it";
    refused(&no_flatten, &[], &[&at(layer(4), message)]);

    let (typo, _) = replaced("filters = 4", "filter = 4");
    refused(
        &typo,
        &[],
        &[&at(layer(0), "layer `conv1` (conv2d): unknown key `filter`; did you mean `filters`?")],
    );
}

#[test]
fn a_network_that_ends_in_another_number_of_classes_is_refused() {
    let (text, line) = replaced("units = 10", "units = 7");
    let message = "the network ends in 7, but the data has 10 classes: it must end in a vector of 10";
    refused(&text, &[], &[&format!("ternflock: job.toml:{}: {message}", line - 3)]);
}

#[test]
fn what_stays_float_must_be_a_layer() {
    let near = "no layer is called `conv2`; did you mean `conv1`?";
    refused(TINY, &["exchange.keep_float=[\"conv2\"]"], &["--set exchange.keep_float=[\"conv2\"]: ", near]);
    let text = format!("{TINY}\n[exchange]\nkeep_float = [\"logits\", \"embedding\"]\n");
    let line = text.lines().count();
    let all = "no layer is called `embedding`; there are `conv1`, `relu_2`, `pool1`, `flatten_4`, `logits`";
    refused(&text, &[], &[&format!("ternflock: job.toml:{line}: "), all]);
}

#[test]
fn a_rank_that_compresses_nothing_is_refused() {
    let sets = ["exchange.gradients=powersgd", "exchange.min_elements=1", "exchange.powersgd_rank=40"];
    refused(
        TINY,
        &sets,
        &["--set exchange.powersgd_rank=40: ", "compresses no matrix", "a value of at most "],
    );
}

#[test]
fn normalisation_must_fit_the_channels() {
    refused(TINY, &["data.mean=[0.5,0.5,0.5]", "data.std=[1,1,1]"], &["--set data.mean=[0.5,0.5,0.5]: "]);
}

#[test]
fn layers_to_decay_must_be_there_and_have_weights() {
    for (layer, advice) in [("logit", "did you mean `logits`?"), ("pool1", "there are `conv1`, `logits`")] {
        let set = format!("optimizer.decay_layers=['{layer}']");
        let message = format!("optimizer.decay_layers: no layer with weights is called `{layer}`; {advice}");
        refused(TINY, &[&set], &[&message]);
    }
}

/// Sizes beyond any machine are refused before anything is allocated, with their line.
#[test]
fn sizes_beyond_all_memory_are_refused() {
    let logits = TINY.lines().position(|line| line.starts_with("units")).unwrap() - 2;
    for units in ["1000000000000000", "9223372036854775807", "288230376151711744"] {
        let (text, _) = replaced("units = 10", &format!("units = {units}"));
        refused(
            &text,
            &[],
            &[&format!("job.toml:{logits}: layer `logits` (linear): "), "limit of 2^40 elements"],
        );
    }
    for filters in ["1000000000", "9223372036854775807"] {
        let (text, _) = replaced("filters = 4", &format!("filters = {filters}"));
        refused(&text, &[], &["job.toml:"]);
    }
    for batch in ["1000000000000", "9223372036854775807"] {
        refused(
            TINY,
            &[&format!("train.global_batch={batch}")],
            &["layer `input` (input): ", "2^40 elements"],
        );
    }
    refused(TINY, &["train.global_batch=1000000000"], &["GB of memory", "GB are free"]);
    refused(TINY, &["train.epochs=9223372036854775807"], &["--set train.epochs=", "steps long"]);
    refused(TINY, &["train.steps=9223372036854775807"], &["--set train.steps=", "steps long"]);
    refused(TINY, &["exchange.timeout=1e300"], &["--set exchange.timeout=1e300: ", "at most 1000000"]);
}

#[test]
fn a_network_without_parameters_is_refused() {
    let model = TINY.find("[[model.layers]]").unwrap();
    let layers = "[[model.layers]]\ntype = \"avg_pool2d\"\nkernel = [4, 7]\nstride = 1\n\
                  [[model.layers]]\ntype = \"flatten\"\n[exchange]\nkeep_float = []\n";
    refused(&format!("{}{layers}", &TINY[..model]), &[], &["the network has no parameters"]);
}

#[test]
fn the_schema_is_printed_for_editors() {
    let printed = Place::new(PROGRAM).run("job schema").ended(0);
    assert_eq!(printed.err, "");
    let schema: serde_json::Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(schema, ternflock::job::schema());
    assert_eq!(schema["properties"]["train"]["properties"]["epochs"]["minimum"], 1);
    Place::new(PROGRAM).run("job").refused(2, &["Usage: ternflock job", "schema"]);
}
