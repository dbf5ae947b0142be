//! Sections whose keys depend on a choice: the data set, the schedule, the optimizer.

use super::{MINIMAL, accepted, minimal, refused};
use crate::*;

#[test]
fn images_vary_and_are_made_up_as_the_job_says() {
    let data = |text: &str| accepted(&MINIMAL.replace("\"digits\"", text), &[]).job.data;
    let augment = Augment { padding: 4, crop: None, mirror: true };
    assert_eq!(data("\"cifar-10\"\npadding = 4\nmirror = true").augment, Some(augment));
    assert_eq!(data("\"digits\"\npadding = 0\nmirror = false").augment, None);
    let synthetic = |shape, classes, samples| Some(Synthetic { shape, classes, samples });
    assert_eq!(data("\"synthetic\"").synthetic, synthetic([3, 32, 32], 10, 10_000));
    let said = "\"synthetic\"\nshape = [3, 227, 227]\nclasses = 1000\nsamples = 64";
    assert_eq!(data(said).synthetic, synthetic([3, 227, 227], 1000, 64));
    let wrong = "\"synthetic\"\nshape = [3, 32]\nclasses = 0\ncrop = 0\npadding = -1";
    assert_eq!(
        refused(MINIMAL.replace("\"digits\"", wrong), &[]),
        [
            "job.toml:3: data.shape must be three sizes of at least 1: channels, height and width, found the array [3, 32]",
            "job.toml:4: data.classes must be at least 1 and at most 65536, found the integer 0",
            "job.toml:5: data.crop must be at least 1, found the integer 0",
            "job.toml:6: data.padding must be a whole number of at least 0, found the integer -1",
        ]
    );
    assert_eq!(
        refused(MINIMAL.replace("\"digits\"", "\"digits\"\nsamples = 3"), &[]),
        ["job.toml:3: data.samples belongs to dataset = \"synthetic\"; this job has \"digits\""]
    );
}

#[test]
fn text_is_made_up_as_the_job_says() {
    let said = |text: &str| accepted(&MINIMAL.replace("\"digits\"", text), &[]).job.data;
    let defaults =
        SyntheticText { tokens: 1_000_000, vocabulary: 10_000, sequence_length: 35, evaluation_columns: 16 };
    let data = said("\"synthetic-text\"");
    assert_eq!((data.is_text(), data.text, data.synthetic_text), (true, None, Some(defaults.clone())));
    let more = "\"synthetic-text\"\ntokens = 500\nvocabulary = 16777216\nsequence_length = 20";
    let other = SyntheticText { tokens: 500, vocabulary: 1 << 24, sequence_length: 20, ..defaults };
    assert_eq!(said(more).synthetic_text, Some(other));
    let wrong = "\"synthetic-text\"\ntokens = 0\nvocabulary = 16777217\nsequence_length = 0\nlevel = \"word\"\n\
                 train = \"a\"\nmirror = true\nsamples = 3\nvalidation = 2";
    let kinds = "data.vocabulary must be at least 2 and at most 16777216";
    let of_a_file = "is for text in files; \"synthetic-text\" is generated";
    assert_eq!(
        refused(MINIMAL.replace("\"digits\"", wrong), &[]),
        [
            "job.toml:3: data.tokens must be at least 1, found the integer 0",
            &format!("job.toml:4: {kinds}, found the integer 16777217"),
            "job.toml:5: data.sequence_length must be at least 1, found the integer 0",
            &format!("job.toml:6: data.level {of_a_file}"),
            &format!("job.toml:7: data.train {of_a_file}"),
            "job.toml:8: data.mirror is for images; \"synthetic-text\" is a text",
            "job.toml:9: data.samples belongs to dataset = \"synthetic\"; this job has \"synthetic-text\"",
            "job.toml:10: data.validation is for images; \"synthetic-text\" has a validation text",
        ]
    );
    let none = refused(MINIMAL.replace("\"digits\"", "\"synthetic-text\"\nvocabulary = 0"), &[]);
    assert_eq!(none, [format!("job.toml:3: {kinds}, found the integer 0")]);
    let elsewhere = refused(MINIMAL.replace("\"digits\"", "\"kjv\"\ntokens = 5"), &[]);
    assert_eq!(
        elsewhere,
        ["job.toml:3: data.tokens belongs to dataset = \"synthetic-text\"; this job has \"kjv\""]
    );
}

#[test]
fn a_schedule_takes_its_own_keys_only() {
    let schedule = |text: &str| accepted(&minimal(&format!("[schedule]\n{text}")), &[]).job.schedule.kind;
    assert_eq!(schedule("kind = \"step\"\nevery = 5"), ScheduleKind::Step { gamma: 0.1, every: 5 });
    let milestones = vec![6000, 8000];
    assert_eq!(
        schedule("kind = \"multistep\"\ngamma = 0.5\nmilestones = [6000, 8000]"),
        ScheduleKind::Multistep { gamma: 0.5, milestones }
    );
    assert_eq!(schedule("kind = \"polynomial\""), ScheduleKind::Polynomial { power: 1.0 });
    assert_eq!(schedule("kind = \"inv\""), ScheduleKind::Inv { gamma: 0.0001, power: 0.75 });
    assert_eq!(schedule("kind = \"cosine\""), ScheduleKind::Cosine);
    assert_eq!(schedule("kind = \"plateau\""), ScheduleKind::Plateau { gamma: 0.25, patience: 0 });
    assert_eq!(
        schedule("kind = \"exponential\"\ngamma = 0.5\nconstant_epochs = 4"),
        ScheduleKind::Exponential { gamma: 0.5, constant_epochs: 4 }
    );
    assert_eq!(
        refused(minimal("[schedule]\nevery = 5\ngamma = 0.1\nkind = \"polynomial\"\n"), &[]),
        [
            "job.toml:10: schedule.every belongs to kind = \"step\"; this schedule is \"polynomial\"",
            "job.toml:11: schedule.gamma belongs to kind = \"step\", \"multistep\", \"inv\", \
             \"exponential\", \"plateau\"; this schedule is \"polynomial\"",
        ]
    );
    assert_eq!(
        refused(minimal("[schedule]\npower = 1\n"), &[]),
        ["job.toml:10: schedule.power belongs to kind = \"polynomial\", \"inv\"; this schedule is \"fixed\""]
    );
    assert_eq!(
        refused(minimal("[schedule]\nkind = \"step\"\n"), &[]),
        ["job.toml:9: missing key: [schedule] needs `every`"]
    );
}

#[test]
fn an_optimizer_takes_its_own_keys_within_their_bounds() {
    let optimizer = |text: &str| accepted(&minimal(text), &[]).job.optimizer;
    assert_eq!(optimizer("kind = \"nesterov\"").kind, OptimizerKind::Nesterov { momentum: 0.9 });
    assert_eq!(optimizer("kind = \"lars\"").kind, OptimizerKind::Lars { momentum: 0.9, trust: 0.001 });
    let adam = optimizer("kind = \"adam\"\nclip_norm = 5");
    let defaults = OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decoupled_decay: false };
    assert_eq!((adam.kind, adam.weight_decay, adam.clip_norm), (defaults, 0.0, Some(5.0)));
    assert_eq!(
        refused(
            minimal("kind = \"adam\"\nbeta1 = 1\nbeta2 = -0.1\nepsilon = 0\ntrust = 1\nclip_norm = 0\n"),
            &[]
        ),
        [
            "job.toml:10: optimizer.beta1 must be at least 0 and below 1, found the integer 1",
            "job.toml:11: optimizer.beta2 must be at least 0 and below 1, found the float -0.1",
            "job.toml:12: optimizer.epsilon must be above 0, found the integer 0",
            "job.toml:13: optimizer.trust belongs to kind = \"lars\"; this optimizer is \"adam\"",
            "job.toml:14: optimizer.clip_norm must be above 0, found the integer 0",
        ]
    );
    assert_eq!(
        refused(minimal("kind = \"lars\"\nmomentum = 1\ntrust = 0\n"), &[]),
        [
            "job.toml:10: optimizer.momentum must be at least 0 and below 1, found the integer 1",
            "job.toml:11: optimizer.trust must be above 0, found the integer 0",
        ]
    );
    assert_eq!(
        refused(minimal("kind = \"nesterov\"\nmomentum = 0\n"), &[]),
        ["job.toml:10: optimizer.momentum must be above 0 and below 1, found the integer 0"]
    );
}

/// A group shrinks at one rate, but Adam has one for each parameter. If nothing shrinks, there is nothing to refuse.
#[test]
fn proximal_steps_beside_adam_are_refused() {
    let with = |optimizer: &str, sparsity: &str| {
        minimal(&format!("kind = \"{optimizer}\"\n[sparsity]\nmethod = \"proximal\"\n{sparsity}\n"))
    };
    for strength in ["filters = 0.1", "hidden_units = 0.1", "l1 = 0.1"] {
        let found = refused(with("adam", strength), &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        let said = "sparsity.method = \"proximal\" does not work with optimizer.kind = \"adam\": ";
        assert!(
            found[0].contains(said) && found[0].contains("use sparsity.method = \"group_lasso\""),
            "{found:?}"
        );
        assert!(found[0].starts_with("job.toml:11: "), "{found:?}");
        for kind in ["sgd", "nesterov", "lars"] {
            accepted(&with(kind, strength), &[]);
        }
        accepted(&with("adam", strength), &["sparsity.method=group_lasso"]);
    }
    accepted(&with("adam", ""), &[]);
    let stages =
        |of_stage: &str| format!("{}[[stage]]\nname = \"a\"\n{of_stage}\n", with("adam", "filters = 1"));
    let stages = |of_stage: &str| stages(of_stage).replace("[train]\nepochs = 1\n", "");
    accepted(&stages("train.steps = 3\noptimizer = { kind = \"sgd\", learning_rate = 0.1 }"), &[]);
    accepted(&stages("shrink = {}"), &[]);
    let found = refused(stages("train.steps = 3"), &[]);
    assert!(found.len() == 1 && found[0].starts_with("job.toml:"), "{found:?}");
    assert!(found[0].contains("does not work with"), "{found:?}");
}

#[test]
fn warming_up_goes_with_every_schedule() {
    let schedule = |text: &str| accepted(&minimal(&format!("[schedule]\n{text}")), &[]).job.schedule;
    let warmed = schedule("kind = \"cosine\"\nwarmup = 100\nwarmup_from = 0");
    assert_eq!(warmed, Schedule { kind: ScheduleKind::Cosine, warmup: 100, warmup_from: 0.0, scaling: None });
    assert_eq!(schedule("warmup = 3"), Schedule { warmup: 3, ..Schedule::default() });
    let scaled = |lines| schedule(lines).scaling.map(|scaling: Scaling| scaling.factor(4096));
    assert_eq!(scaled("base_batch = 64"), Some(64.0));
    assert_eq!(scaled("base_batch = 64\nscaling = \"sqrt\""), Some(8.0));
    assert_eq!(scaled("base_batch = 8192\nscaling = \"linear\""), Some(0.5));
    assert_eq!(scaled("warmup = 3"), None);
    assert_eq!(
        refused(minimal("[schedule]\nwarmup = -1\nwarmup_from = 1.5\n"), &[]),
        [
            "job.toml:10: schedule.warmup must be a whole number of at least 0, found the integer -1",
            "job.toml:11: schedule.warmup_from must be at least 0 and at most 1, found the float 1.5",
        ]
    );
}

#[test]
fn classes_and_labels_are_said_of_files_of_ones_own() {
    let data = |text: &str| accepted(&MINIMAL.replace("\"digits\"", text), &[]).job.data;
    let idx = |classes, first_label| Some(Idx { classes, first_label });
    assert_eq!(data("\"idx\"\ndir = \"a\"").idx, idx(None, 0));
    assert_eq!(data("\"idx\"\ndir = \"a\"\nclasses = 26\nfirst_label = 1").idx, idx(Some(26), 1));
    assert_eq!(data("\"mnist\"").idx, None);
    assert_eq!(
        refused(MINIMAL.replace("\"digits\"", "\"idx\"\ndir = \"a\"\nclasses = 257\nfirst_label = 256"), &[]),
        [
            "job.toml:4: data.classes must be at least 1 and at most 256, found the integer 257",
            "job.toml:5: data.first_label must be at most 255, found the integer 256",
        ]
    );
    assert_eq!(
        refused(MINIMAL.replace("\"digits\"", "\"mnist\"\nclasses = 10\nfirst_label = 1"), &[]),
        [
            "job.toml:3: data.classes belongs to dataset = \"synthetic\" or \"idx\" or \"hdf5\" or \"npy\"; this job has \"mnist\"",
            "job.toml:4: data.first_label belongs to dataset = \"idx\" or \"hdf5\" or \"npy\"; this job has \"mnist\"",
        ]
    );
}
