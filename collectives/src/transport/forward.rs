//! What a transport around another leaves to it.

/// The named methods of [`Transport`](crate::Transport), left to the transport in field `$field`: for wrappers, which
/// then say only what they do otherwise.
#[macro_export]
macro_rules! forward_transport {
    ($field:ident: $($method:ident)+) => {
        $($crate::forward_transport!(@ $method $field);)+
    };
    (@ rank $field:ident) => {
        fn rank(&self) -> usize {
            self.$field.rank()
        }
    };
    (@ world $field:ident) => {
        fn world(&self) -> usize {
            self.$field.world()
        }
    };
    (@ nodes $field:ident) => {
        fn nodes(&self) -> &[usize] {
            self.$field.nodes()
        }
    };
    (@ deadline $field:ident) => {
        fn deadline(&self) -> ::std::time::Duration {
            self.$field.deadline()
        }
    };
    (@ set_context $field:ident) => {
        fn set_context(&mut self, context: ::std::fmt::Arguments<'_>) {
            self.$field.set_context(context);
        }
    };
    (@ buffer $field:ident) => {
        fn buffer(&mut self, words: usize) -> ::std::vec::Vec<u64> {
            self.$field.buffer(words)
        }
    };
    (@ recycle $field:ident) => {
        fn recycle(&mut self, buffer: ::std::vec::Vec<u64>) {
            self.$field.recycle(buffer);
        }
    };
    (@ send_on $field:ident) => {
        fn send_on(
            &mut self,
            lane: $crate::transport::Lane,
            to: usize,
            message: ::std::vec::Vec<u64>,
        ) -> $crate::Result<()> {
            self.$field.send_on(lane, to, message)
        }
    };
    (@ poll $field:ident) => {
        fn poll(
            &mut self,
            lane: $crate::transport::Lane,
            from: usize,
            words: usize,
        ) -> $crate::Result<::std::option::Option<::std::vec::Vec<u64>>> {
            self.$field.poll(lane, from, words)
        }
    };
    (@ pending $field:ident) => {
        fn pending(&mut self) -> $crate::Result<::std::option::Option<(usize, usize)>> {
            self.$field.pending()
        }
    };
    (@ pause $field:ident) => {
        fn pause(&mut self, wait: &$crate::transport::Wait) -> $crate::Result<()> {
            self.$field.pause(wait)
        }
    };
}
