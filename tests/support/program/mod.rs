//! Running the program: in a directory of its own ([`Place`]), never longer than a deadline ([`Running`]), and how it
//! ended ([`Finished`]).

mod finished;
mod place;
mod running;

pub use finished::Finished;
pub use place::{Place, TINY};
pub use running::{Running, Watched, finish, wait_for};
