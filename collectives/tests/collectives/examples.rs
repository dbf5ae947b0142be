//! The examples run, and what they assert holds. They are included by path, since `cargo test --test collectives`
//! does not build them.

#[path = "../../examples/codec.rs"]
mod codec;
#[path = "../../examples/threads.rs"]
mod threads;

#[test]
fn threads_average_gradients() {
    threads::main().expect("the example runs");
}

#[test]
fn a_gradient_becomes_ternaries_and_comes_back() {
    codec::main();
}
