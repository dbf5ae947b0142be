//! BLAS computes on one thread. This program splits large products over its own pool of threads (see
//! [`super::threads`]). By default, OpenBLAS would start one thread per core in every rank.

use std::ffi::c_int;
use std::sync::OnceLock;

unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_num_threads() -> c_int;
}

/// The number of threads with which OpenBLAS started: one per core, unless its environment variables set
/// another number.
pub fn blas_default_threads() -> usize {
    static DEFAULT: OnceLock<usize> = OnceLock::new();
    // SAFETY: a plain getter of the linked OpenBLAS.
    *DEFAULT.get_or_init(|| unsafe { openblas_get_num_threads() }.max(1) as usize)
}

/// Makes each call of BLAS run only on the calling thread.
pub(crate) fn keep_blas_on_one_thread() {
    blas_default_threads();
    // SAFETY: a plain setter of the linked OpenBLAS.
    unsafe { openblas_set_num_threads(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_outlives_the_setting() {
        let default = blas_default_threads();
        keep_blas_on_one_thread();
        // SAFETY: a plain getter of the linked OpenBLAS.
        assert_eq!(unsafe { openblas_get_num_threads() }, 1);
        assert_eq!(blas_default_threads(), default);
    }
}
