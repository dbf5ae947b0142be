//! Buffers, counted by the code that uses them.
//!
//! Code that needs buffers takes them from a [`Buffers`] instead of allocating them. The same code runs
//! twice: once to count the bytes, before anything is allocated, and once to allocate. So the count always
//! matches the allocation.

/// The maximum number of elements of a tensor, so that only products of two such numbers can overflow.
const LIMIT: u128 = 1 << 40;

/// The number of elements of a tensor with the shape `dimensions`.
///
/// # Errors
/// If it is larger than the limit of 2^40.
pub fn elements(dimensions: &[usize]) -> Result<usize, String> {
    let product = dimensions.iter().try_fold(1u128, |product, &d| product.checked_mul(d as u128));
    match product {
        Some(product) if product <= LIMIT => Ok(product as usize),
        _ => Err(format!("a tensor of shape {dimensions:?} is larger than the limit of 2^40 elements")),
    }
}

/// Gives out buffers, or only counts them.
///
/// When it counts, every buffer that it gives out is empty and takes no time, for any size. An object with
/// such buffers can only be counted and dropped; it cannot be used.
///
/// ```
/// use ternflock_tensor::Buffers;
///
/// /// A layer with two buffers.
/// struct Layer {
///     sums: Vec<f32>,
///     winners: Vec<u32>,
/// }
///
/// impl Layer {
///     fn new(units: usize, batch: usize, buffers: &mut Buffers) -> Result<Layer, String> {
///         Ok(Layer { sums: buffers.zeros(&[units, batch])?, winners: buffers.zeros(&[units])? })
///     }
/// }
///
/// let mut count = Buffers::counting();
/// assert!(Layer::new(1 << 30, 100, &mut count)?.sums.is_empty());
/// assert_eq!(count.bytes(), 4 * 101 << 30);
///
/// let layer = Layer::new(10, 3, &mut Buffers::allocating())?;
/// assert_eq!((layer.sums.len(), layer.winners.len()), (30, 10));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Buffers {
    is_counting: bool,
    bytes: u128,
}

impl Buffers {
    /// Counts and allocates nothing.
    #[must_use]
    pub fn counting() -> Buffers {
        Buffers { is_counting: true, bytes: 0 }
    }

    /// Allocates, and counts as well.
    #[must_use]
    pub fn allocating() -> Buffers {
        Buffers { is_counting: false, bytes: 0 }
    }

    /// The bytes of all buffers so far.
    #[must_use]
    pub fn bytes(&self) -> u128 {
        self.bytes
    }

    /// A tensor with the shape `dimensions`. Every element is the default of its type, which is zero for
    /// numbers.
    ///
    /// # Errors
    /// If it has more than 2^40 elements.
    pub fn zeros<T: Clone + Default>(&mut self, dimensions: &[usize]) -> Result<Vec<T>, String> {
        Ok(vec![T::default(); self.take::<T>(elements(dimensions)?)])
    }

    /// The elements of `list`. When it counts, only the length of `list` is asked for.
    ///
    /// # Errors
    /// If there are more than 2^40.
    pub fn list<T>(&mut self, list: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>, String> {
        let made = self.take::<T>(elements(&[list.len()])?);
        Ok(list.take(made).collect())
    }

    /// `count` objects that take the same buffers each. When this only counts, `make` runs once.
    ///
    /// # Errors
    /// If there are more than 2^40, or those of `make`.
    pub fn repeat<T>(
        &mut self,
        count: usize,
        mut make: impl FnMut(&mut Buffers) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let made = self.take::<T>(elements(&[count])?);
        if self.is_counting && count > 0 {
            let mut one = Buffers::counting();
            make(&mut one)?;
            self.bytes = self.bytes.saturating_add(one.bytes.saturating_mul(count as u128));
        }
        (0..made).map(|_| make(self)).collect()
    }

    /// Counts `count` elements and returns how many of them to make: all or none.
    fn take<T>(&mut self, count: usize) -> usize {
        self.bytes = self.bytes.saturating_add((count * size_of::<T>()) as u128);
        if self.is_counting { 0 } else { count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_shapes_are_refused_without_overflow() {
        assert_eq!(elements(&[3, 4, 0]), Ok(0));
        assert_eq!(elements(&[1 << 20, 1 << 20]), Ok(1 << 40));
        assert!(elements(&[1 << 20, 1 << 20, 2]).is_err());
        assert!(elements(&[usize::MAX; 5]).is_err());
    }

    /// A few buffers of each kind, with `count` elements each.
    fn take(buffers: &mut Buffers, count: usize) -> Result<[usize; 3], String> {
        let zeros: Vec<u8> = buffers.zeros(&[3, count])?;
        let list = buffers.list((0..count).map(|i| i as u16))?;
        assert!(list.iter().enumerate().all(|(i, &value)| value == i as u16));
        let objects: Vec<(Vec<u32>, u64)> =
            buffers.repeat(count, |buffers| Ok((buffers.zeros(&[2, 5])?, 7)))?;
        let inside = objects.iter().map(|object| object.0.len()).sum();
        Ok([zeros.len(), list.len(), inside])
    }

    #[test]
    fn the_count_is_that_of_what_is_allocated() {
        let bytes = |count: usize| (count * (3 + 2 + size_of::<(Vec<u32>, u64)>() + 40)) as u128;
        for count in [0, 1, 4] {
            let (mut counted, mut allocated) = (Buffers::counting(), Buffers::allocating());
            assert_eq!(take(&mut counted, count), Ok([0; 3]));
            assert_eq!(take(&mut allocated, count), Ok([3 * count, count, 10 * count]));
            assert_eq!((counted.bytes(), allocated.bytes()), (bytes(count), bytes(count)));
        }
        let mut counted = Buffers::counting();
        take(&mut counted, 1 << 38).unwrap();
        assert_eq!(counted.bytes(), bytes(1 << 38));
    }

    #[test]
    fn no_count_overflows() {
        let mut buffers = Buffers::counting();
        assert!(take(&mut buffers, usize::MAX).is_err());
        assert!(buffers.list(0..1_usize << 41).is_err() && buffers.repeat(1 << 41, |_| Ok(())).is_err());
        for _ in 0..4 {
            let deep = |buffers: &mut Buffers| buffers.repeat(1 << 40, |b| b.zeros::<[u64; 32]>(&[1 << 40]));
            buffers.repeat(1 << 40, deep).unwrap();
        }
        assert!(buffers.bytes() > 1 << 126);
        // An error inside is reported if the object is made at all.
        let wrong = |buffers: &mut Buffers| buffers.zeros::<u8>(&[1 << 41]);
        assert!(buffers.repeat(1, wrong).is_err() && buffers.repeat(0, wrong).is_ok());
    }
}
