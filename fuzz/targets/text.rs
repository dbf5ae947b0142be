//! A text, raw or compressed. The first byte chooses how it is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ternflock_data::{Subset, Texts};
use ternflock_fuzz::write;
use ternflock_job as job;

fuzz_target!(|input: &[u8]| {
    let Some((&how, text)) = input.split_first() else { return };
    let path = write("text", text);
    let [level, lowercase, vocabulary] = [how & 1, how >> 1 & 1, how >> 2 & 3];
    let job = format!(
        "[data]\ndataset = \"text\"\ntrain = \"{}\"\nlevel = \"{}\"\nlowercase = {}\nvocabulary = {}\nsequence_length = 2\n\
         [train]\nsteps = 1\nglobal_batch = 1\n[optimizer]\nlearning_rate = 0.1\n[model]\npreset = \"lstm-small\"\n",
        path.display(),
        ["word", "character"][usize::from(level)],
        lowercase == 1,
        [2, 3, 100, 100_000][usize::from(vocabulary)],
    );
    let job = job::parse("job.toml".into(), &job, &[], Some("job")).expect("a job that is right").job;
    let how = job.data.text.as_ref().expect("a text");
    let mut texts = Texts::new(&job.data, how, None);
    if let Ok(corpus) = texts.corpus() {
        let words = corpus.vocabulary.len();
        assert!(corpus.tokens.iter().all(|&token| (token as usize) < words));
        if let Ok(set) = texts.set(Subset::Valid, &corpus.vocabulary) {
            drop(set);
        }
    }
});
