//! Forwarding from a transport to the one it wraps.

/// Implements the named methods of [`Transport`](crate::Transport) by forwarding them to the transport in field `$field`,
/// or with `*` to the one that `self` points to. A wrapper then writes only the methods that it changes.
///
/// # Examples
/// A transport that delays its sends:
///
/// ```
/// use std::{thread, time::Duration};
/// use ternflock_collectives::transport::{Lane, Transport, threads};
/// use ternflock_collectives::{Result, control, forward_transport};
///
/// struct Slow<T> {
///     inner: T,
/// }
///
/// impl<T: Transport> Transport for Slow<T> {
///     forward_transport!(
///         inner: rank world nodes deadline set_context context buffer recycle poll pending pause adds
///     );
///
///     fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()> {
///         thread::sleep(Duration::from_millis(1));
///         self.inner.send_on(lane, to, message)
///     }
/// }
///
/// let mut alone = Slow { inner: threads::solo(Duration::from_secs(60)) };
/// control::barrier(&mut alone)?;
/// # Ok::<(), ternflock_collectives::Error>(())
/// ```
#[macro_export]
macro_rules! forward_transport {
    (*: $($method:ident)+) => {
        $($crate::forward_transport!(@ $method self (**self));)+
    };
    ($field:ident: $($method:ident)+) => {
        $($crate::forward_transport!(@ $method self (self.$field));)+
    };
    (@ rank $self:ident $inner:expr) => {
        fn rank(&$self) -> usize {
            $inner.rank()
        }
    };
    (@ world $self:ident $inner:expr) => {
        fn world(&$self) -> usize {
            $inner.world()
        }
    };
    (@ nodes $self:ident $inner:expr) => {
        fn nodes(&$self) -> &[usize] {
            $inner.nodes()
        }
    };
    (@ deadline $self:ident $inner:expr) => {
        fn deadline(&$self) -> ::std::time::Duration {
            $inner.deadline()
        }
    };
    (@ set_context $self:ident $inner:expr) => {
        fn set_context(&mut $self, context: ::std::fmt::Arguments<'_>) {
            $inner.set_context(context);
        }
    };
    (@ context $self:ident $inner:expr) => {
        fn context(&$self) -> &str {
            $inner.context()
        }
    };
    (@ buffer $self:ident $inner:expr) => {
        fn buffer(&mut $self, words: usize) -> ::std::vec::Vec<u64> {
            $inner.buffer(words)
        }
    };
    (@ recycle $self:ident $inner:expr) => {
        fn recycle(&mut $self, buffer: ::std::vec::Vec<u64>) {
            $inner.recycle(buffer);
        }
    };
    (@ send_on $self:ident $inner:expr) => {
        fn send_on(
            &mut $self,
            lane: $crate::transport::Lane,
            to: usize,
            message: ::std::vec::Vec<u64>,
        ) -> $crate::Result<()> {
            $inner.send_on(lane, to, message)
        }
    };
    (@ poll $self:ident $inner:expr) => {
        fn poll(
            &mut $self,
            lane: $crate::transport::Lane,
            from: usize,
            length: $crate::transport::Length,
        ) -> $crate::Result<::std::option::Option<::std::vec::Vec<u64>>> {
            $inner.poll(lane, from, length)
        }
    };
    (@ pending $self:ident $inner:expr) => {
        fn pending(&mut $self) -> $crate::Result<::std::option::Option<(usize, usize)>> {
            $inner.pending()
        }
    };
    (@ adds $self:ident $inner:expr) => {
        fn adds(&mut $self, words: usize) {
            $inner.adds(words);
        }
    };
    (@ pause $self:ident $inner:expr) => {
        fn pause(&mut $self, wait: &$crate::transport::Wait) -> $crate::Result<()> {
            $inner.pause(wait)
        }
    };
}
