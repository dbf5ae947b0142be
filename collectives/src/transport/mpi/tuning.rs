//! Parameters of Open MPI for messages over TCP, unless the user has set them.

use std::env;

/// Parameters of Open MPI (`ompi_info --param btl tcp --level 5`), as it reads them from the environment when it starts.
///
/// By default, a message over TCP that is longer than 64 kB is announced, and written to the receiver's
/// memory piece by piece when the receiver requests it. The requests queue behind the data in the other
/// direction. If both directions of a link are busy, as in every exchange, this halves the rate
/// (docs/adr/0016-messages-over-tcp.md). So long messages are sent as streams of fragments (1: only the flag
/// `SEND`), and messages of one segment of planes are sent at once.
const DEFAULTS: [(&str, &str); 4] = [
    ("OMPI_MCA_btl_tcp_flags", "1"),
    ("OMPI_MCA_btl_tcp_eager_limit", "300000"),
    ("OMPI_MCA_btl_tcp_rndv_eager_limit", "300000"),
    ("OMPI_MCA_btl_tcp_max_send_size", "300000"),
];

/// Sets those of [`DEFAULTS`] that the environment does not set. Other MPI libraries ignore them.
///
/// # Safety
/// No other thread may read or change the environment meanwhile.
pub(super) unsafe fn set_defaults() {
    for (name, value) in missing(|name| env::var_os(name).is_some()) {
        // SAFETY: the caller guarantees that no other thread accesses the environment.
        unsafe { env::set_var(name, value) };
    }
}

fn missing(is_set: impl Fn(&str) -> bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    DEFAULTS.into_iter().filter(move |(name, _)| !is_set(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_stays() {
        let names: Vec<_> = missing(|name| name == "OMPI_MCA_btl_tcp_flags").map(|(name, _)| name).collect();
        assert_eq!(names.len(), 3);
        assert!(!names.contains(&"OMPI_MCA_btl_tcp_flags"));
        assert_eq!(missing(|_| true).count(), 0);
    }
}
