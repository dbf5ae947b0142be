//! What every floor above stands on: [`error`], [`io`], which opens files, random numbers ([`rng`]), even splits ([`split`]),
//! [`clock`], quantiles of times ([`quantile`]), [`text`] for people, and what the operating system allows ([`available`],
//! [`cgroup`], [`child`]).

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
pub mod text;
