//! The averager of the crate `collectives` gives the same bits as the training exchange.

use std::thread;
use std::time::Duration;

use support::ranks::on_ranks;
use ternflock::job::{self, Gradients};
use ternflock::nn::Parameters;
use ternflock_collectives::Transport;
use ternflock_collectives::average::{Averager, Method, Options};
use ternflock_collectives::transport::threads;

use crate::WORLDS;
use crate::exchange::{SEED, STEPS, averages, gradients, graph, settings};

/// The values on one rank after each step.
fn means(transport: &mut dyn Transport, options: Options) -> Vec<Vec<f32>> {
    let (rank, parameters) = (transport.rank(), Parameters::new(&graph()).unwrap());
    let elements: Vec<usize> = parameters.table.iter().map(|parameter| parameter.range.len()).collect();
    let mut averager = Averager::new(transport, &elements, options).unwrap();
    let mean = |step| {
        let mut values = gradients(&parameters, rank, step);
        let mut rest = values.as_mut_slice();
        let mut split = |length: &usize| rest.split_off_mut(..*length).unwrap();
        let mut tensors: Vec<&mut [f32]> = elements.iter().map(&mut split).collect();
        averager.mean(transport, step, &mut tensors).unwrap();
        values
    };
    (0..STEPS).map(mean).collect()
}

/// The exchange has all gradients in one bucket, so that its float32 tensors are summed as one vector too.
fn check(job: &job::Exchange, method: Method) {
    let options = Options {
        method,
        min_elements: job.min_elements,
        clip_sigma: job.clip_sigma as f32,
        error_feedback: job.error_feedback,
        seed: SEED,
        ..Options::default()
    };
    for ranks in WORLDS {
        let of_training = on_ranks(ranks, |world| averages(job, world));
        let of_library: Vec<_> = thread::scope(|scope| {
            let start = |mut rank| scope.spawn(move || means(&mut rank, options));
            let running: Vec<_> =
                threads::world(ranks, Duration::from_secs(60)).into_iter().map(start).collect();
            running.into_iter().map(|rank| rank.join().unwrap()).collect()
        });
        assert_eq!(of_library, of_training, "{ranks} ranks, {job:?}");
    }
}

#[test]
fn ternary_means_have_the_bits_of_training() {
    for min_elements in [0, 100] {
        let job = settings(Gradients::Ternary, min_elements, &[]);
        check(&job, Method::Ternary);
        check(&job::Exchange { error_feedback: true, clip_sigma: 1.5, ..job }, Method::Ternary);
    }
}

#[test]
fn float32_means_have_the_bits_of_training() {
    check(&settings(Gradients::Float32, 0, &[]), Method::Float32);
}
