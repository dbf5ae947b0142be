//! The foundation of all other crates: errors ([`error`]), files ([`io`]), random numbers ([`rng`]), even splits ([`split`]),
//! times ([`clock`]) and their quantiles ([`quantile`]), the wording of messages ([`text`], [`suggest`]), and limits and child
//! processes of the operating system ([`available`], [`cgroup`], [`child`]).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

pub mod available;
pub mod cgroup;
pub mod child;
pub mod clock;
pub mod error;
pub mod io;
pub mod quantile;
pub mod rng;
pub mod split;
pub mod suggest;
pub mod text;
