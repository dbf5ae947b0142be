//! `ternflock sample`.

use std::process::ExitCode;

use serde_json::json;

use super::arguments::Sample;
use super::exit;
use super::launcher::is_not_first;
use super::streams::{log, print, print_part};
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::list;
use ternflock_data::{END_OF_LINE, UNKNOWN, Vocabulary, tokenize};
use ternflock_predict::Trained;
use ternflock_predict::language::{Choice, Joiner, Sampler, Stepper};
use ternflock_tensor::set_threads;

/// Continues a text with the language model of a checkpoint.
pub fn main(arguments: &Sample) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match Continuation::open(arguments) {
        Ok(text) if arguments.json => text.object(arguments),
        Ok(text) => text.stream(arguments),
        Err(error) => exit::fail(&error),
    }
}

/// A text that the network has read as far as the end of the prompt.
struct Continuation {
    sampler: Sampler,
    vocabulary: Vocabulary,
    joiner: Joiner,
    /// The prompt, as its tokens form a text again.
    prompt: String,
    /// The words of the prompt outside the vocabulary, each once.
    unknown: Vec<String>,
    /// The step of the checkpoint.
    step: u64,
}

impl Continuation {
    fn open(arguments: &Sample) -> Result<Continuation> {
        arguments.instructions.choose()?;
        set_threads(usize::from(arguments.threads))?;
        let trained = Trained::load(&arguments.checkpoint)?;
        let Some((how, vocabulary)) = trained.text()? else {
            let input = trained.graph.input().described();
            return Err(trained.refuse(format!(
                "its network takes {input} and has no vocabulary, so it cannot continue a text; `ternflock predict` \
                 computes the outputs of other networks"
            )));
        };
        let without = arguments.no_unknown.then(|| vocabulary.unknown());
        let top_k = arguments.top_k.map(|count| count as usize);
        let choice = Choice::new(arguments.temperature, top_k, without)
            .map_err(|error| Error::Usage(format!("--temperature: {error}")))?;
        if arguments.no_unknown && vocabulary.len() == 1 {
            return Err(
                trained.refuse(format!("its vocabulary has only `{UNKNOWN}`: leave out --no-unknown"))
            );
        }
        let tokens =
            tokenize(&arguments.prompt, how).map_err(|error| Error::Usage(format!("--prompt: {error}")))?;
        let mut joiner = Joiner::new(how);
        let mut prompt = String::new();
        tokens.iter().for_each(|token| joiner.push(token, &mut prompt));
        let (step, precision) = (trained.snapshot.progress.step, trained.precision(arguments.precision));
        let mut sampler = Sampler::new(Stepper::new(trained, precision)?, choice, arguments.seed);
        let mut unknown: Vec<String> = Vec::new();
        // In training, the first word of a line follows the end of the line before.
        sampler.read(vocabulary.number(END_OF_LINE))?;
        for token in tokens {
            let number = vocabulary.number(&token);
            sampler.read(number)?;
            if number == vocabulary.unknown() && token != UNKNOWN && !unknown.contains(&token) {
                unknown.push(token);
            }
        }
        if !unknown.is_empty() {
            log(format_args!(
                "note: the vocabulary has no {}; the network reads {UNKNOWN}",
                list(unknown.iter().map(String::as_str), "`", "`")
            ));
        }
        Ok(Continuation { sampler, vocabulary, joiner, prompt, unknown, step })
    }

    /// Draws the next token and appends it to `text`.
    fn draw(&mut self, text: &mut String) -> Result<&str> {
        let token = &self.vocabulary.words()[self.sampler.draw()? as usize];
        self.joiner.push(token, text);
        Ok(token)
    }

    /// Prints the text, each token as soon as it is drawn. Ends early, without an error, if nobody reads it.
    fn stream(mut self, arguments: &Sample) -> ExitCode {
        let mut piece = std::mem::take(&mut self.prompt);
        for _ in 0..arguments.tokens {
            if let Err(code) = print_part(&piece) {
                return code;
            }
            piece.clear();
            if let Err(error) = self.draw(&mut piece) {
                return exit::fail(&error);
            }
        }
        if !self.joiner.is_at_line_start() {
            piece.push('\n');
        }
        print(&piece)
    }

    /// Prints one JSON object.
    fn object(mut self, arguments: &Sample) -> ExitCode {
        let (mut text, mut tokens) = (self.prompt.clone(), Vec::new());
        for _ in 0..arguments.tokens {
            match self.draw(&mut text) {
                Ok(token) => tokens.push(token.to_owned()),
                Err(error) => return exit::fail(&error),
            }
        }
        let object = json!({
            "checkpoint": arguments.checkpoint.display().to_string(),
            "step": self.step,
            "prompt": self.prompt,
            "unknown": self.unknown,
            "temperature": arguments.temperature,
            "top_k": arguments.top_k,
            "seed": arguments.seed,
            "tokens": tokens,
            "text": text,
        });
        print(&format!("{object}\n"))
    }
}
