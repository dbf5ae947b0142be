//! The options of commands that compute: the instruction set and the precision.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use ternflock_base::error::{Error, Result};
use ternflock_tensor::{Isa, Precision, set_isa};

/// The instruction set of the program's own kernels.
#[derive(Args, Debug)]
pub struct Instructions {
    /// The instruction set of layers and of the optimizer; auto: the best of this processor. A smaller one is slower, for
    /// comparisons. With less than AVX-512, BLAS computes float32 products.
    #[arg(long, value_name = "NAME", default_value = AUTO, value_parser = names())]
    pub isa: String,
}

const AUTO: &str = "auto";

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new([AUTO].into_iter().chain(Isa::ALL.into_iter().map(Isa::name)))
}

impl Instructions {
    /// Sets the instruction set of this process. Call this before anything computes.
    ///
    /// # Errors
    /// [`Error::Usage`] if this processor does not have it.
    pub fn choose(&self) -> Result<()> {
        match Isa::named(&self.isa) {
            None => Ok(()),
            Some(isa) => set_isa(isa).map_err(|error| Error::Usage(format!("--isa: {error}"))),
        }
    }
}

/// Parses the name of a [`Precision`].
pub fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(Precision::ALL.map(Precision::name)).map(|name| {
        let named = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        named.unwrap_or_default()
    })
}
