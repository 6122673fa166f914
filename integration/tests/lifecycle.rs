//! smoke
use integration::*;
#[test]
fn smoke() {
    let rt = Runtime::new();
    let mut b = rt.bundle();
    assert_eq!(rt.sh(&mut b, "echo hello").ok(), "hello\n");
    let c = rt.sleeper(&mut b);
    assert_eq!(c.status(), "running");
    assert_eq!(c.sh("echo hi").ok(), "hi\n");
    c.stop();
}
