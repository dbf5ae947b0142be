//! Decoded images in memory, up to a limit. Every image is read once per epoch, so to keep the first images that were read
//! saves as much as to keep those that were read last, and needs no lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Some of a set's images, `[C, H, W]` each.
pub struct Cache {
    images: Vec<OnceLock<Box<[u8]>>>,
    /// How many more bytes may be kept, in all caches that share it.
    room: Arc<AtomicUsize>,
}

impl Cache {
    /// For `samples` images, as many as there is `room` for.
    pub fn new(samples: usize, room: Arc<AtomicUsize>) -> Cache {
        let mut images = Vec::new();
        images.resize_with(samples, OnceLock::new);
        Cache { images, room }
    }

    /// The image `number`, if it is kept.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        self.images[number].get().map(AsRef::as_ref)
    }

    /// Keeps the image `number`, if there is room.
    pub fn keep(&self, number: usize, image: &[u8]) {
        let relaxed = Ordering::Relaxed;
        let taken = self.room.fetch_update(relaxed, relaxed, |room| room.checked_sub(image.len()));
        if taken.is_ok() && self.images[number].set(image.into()).is_err() {
            // Another thread has kept it in the meantime.
            self.room.fetch_add(image.len(), relaxed);
        }
    }

    /// Keeps the places of the images for which `is_good` is true, in their order.
    pub fn retain(&mut self, is_good: &[bool]) {
        let mut is_good = is_good.iter();
        self.images.retain(|_| is_good.next().is_none_or(|&good| good));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let mut cache = Cache::new(4, Arc::new(AtomicUsize::new(10)));
        for number in [2, 0, 2, 1, 3] {
            cache.keep(number, &[number as u8; 4]);
        }
        assert_eq!([0, 2].map(|number| cache.get(number)), [Some(&[0; 4][..]), Some(&[2; 4][..])]);
        assert_eq!([1, 3].map(|number| cache.get(number)), [None; 2]);
        cache.keep(3, &[9; 2]);
        cache.retain(&[false, true, true, true]);
        assert_eq!([0, 1, 2].map(|number| cache.get(number)), [None, Some(&[2; 4][..]), Some(&[9; 2][..])]);
    }
}
