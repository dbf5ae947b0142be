//! Values of 32 bits as messages.

use bytemuck::Pod;

use super::Transport;

/// A message of `values`, two per word. The unused half of the last word is zero.
///
/// `T` has 32 bits; any other size does not compile.
pub fn packed<T: Pod>(transport: &mut dyn Transport, values: &[T]) -> Vec<u64> {
    const { assert!(size_of::<T>() == size_of::<u32>()) };
    let mut message = transport.buffer(values.len().div_ceil(2));
    if let Some(last) = message.last_mut() {
        *last = 0;
    }
    bytemuck::cast_slice_mut(&mut message)[..values.len()].copy_from_slice(values);
    message
}
