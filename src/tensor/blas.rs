//! How many threads BLAS uses. OpenBLAS starts one a core by default, in every rank: P ranks on a node would run P times
//! as many threads as there are cores.

use std::ffi::c_int;

unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_num_threads() -> c_int;
}

/// Lets BLAS use `threads` threads from now on, in this process.
pub fn set_blas_threads(threads: usize) {
    let threads = c_int::try_from(threads.max(1)).unwrap_or(c_int::MAX);
    // SAFETY: a plain setter of the linked OpenBLAS, called while no BLAS call is under way in this thread.
    unsafe { openblas_set_num_threads(threads) }
}

/// The number of threads BLAS uses now.
pub fn blas_threads() -> usize {
    // SAFETY: a plain getter of the linked OpenBLAS.
    unsafe { openblas_get_num_threads() }.max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_what_blas_reports() {
        let before = blas_threads();
        set_blas_threads(1);
        assert_eq!(blas_threads(), 1);
        set_blas_threads(before);
    }
}
