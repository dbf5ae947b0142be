//! Averages gradients between the ranks of an MPI job:
//!
//! ```text
//! cargo build --release -p ternflock-collectives --features mpi --example mpi
//! mpirun -n 2 target/release/examples/mpi
//! ```

use std::time::Duration;

use ternflock_collectives::average::{Averager, Options};
use ternflock_collectives::transport::mpi::{self, MpiTransport};
use ternflock_collectives::{Result, Transport};

const WEIGHT: usize = 1_000_000;
const BIAS: usize = 100;

pub(crate) fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        // This also ends the other ranks, which might wait for this one.
        mpi::abort(1);
    }
}

fn run() -> Result<()> {
    // Starts MPI. A program that has started MPI itself calls `MpiTransport::over` with its communicator.
    let mut transport = MpiTransport::init(Duration::from_secs(60), None)?;
    let (rank, world) = (transport.rank(), transport.world());
    let options = Options { min_elements: 1000, seed: 1, ..Options::default() };
    let mut averager = Averager::new(&mut transport, &[WEIGHT, BIAS], options)?;

    let mut weight: Vec<f32> = (0..WEIGHT).map(|element| ((element + rank) as f32).sin()).collect();
    let mut bias = vec![rank as f32; BIAS];
    averager.mean(&mut transport, 0, &mut [&mut weight, &mut bias])?;

    // The bias is below `min_elements`, so it travels as float32.
    let expected = (0..world).sum::<usize>() as f32 / world as f32;
    assert!(bias.iter().all(|mean| (mean - expected).abs() <= 1e-5 * expected));
    if rank == 0 {
        let bytes = averager.traffic().bytes_sent;
        let (elements, library) = (WEIGHT + BIAS, mpi::library_version());
        println!("{world} ranks of {library} averaged {elements} gradients; rank 0 sent {bytes} bytes");
    }
    Ok(())
}
