//! `ternflock eval --data`.

use std::path::Path;

use ternflock_base::error::{Error, Result};
use ternflock_job::{Data, Text};
use ternflock_train::load;

/// The data of the job at `path`, prepared as `own`, the data that the network of `checkpoint` was trained on: the
/// normalisation and the crop of images, and the way in which a text is split into tokens, belong to the network.
///
/// # Errors
/// Those of the job; [`Error::Usage`] if one is a text and the other is not.
pub fn other_data(path: &Path, own: &Data, checkpoint: &Path) -> Result<Data> {
    let mut data = load(path, &[])?.job.data;
    if data.text.is_some() != own.text.is_some()
        || data.synthetic_text.is_some() != own.synthetic_text.is_some()
    {
        return Err(Error::Usage(format!(
            "--data {}: its data are {}, but {} was trained on {}",
            path.display(),
            described(&data),
            checkpoint.display(),
            described(own)
        )));
    }
    (data.mean, data.std) = (own.mean.clone(), own.std.clone());
    data.augment = own.augment.clone();
    if let (Some(text), Some(own)) = (&mut data.text, &own.text) {
        let files = text.clone();
        *text = Text {
            train: files.train,
            valid: files.valid,
            test: files.test,
            held_out: files.held_out,
            evaluation_columns: files.evaluation_columns,
            ..own.clone()
        };
    }
    Ok(data)
}

fn described(data: &Data) -> String {
    let kind = match (&data.text, &data.synthetic_text) {
        (Some(_), _) => "a text",
        (_, Some(_)) => "a generated text",
        (None, None) => "images",
    };
    format!("{kind} (`{}`)", data.dataset)
}
