use crate::sms::testing::run_vectors;

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("../vectors/signalwire.json"));
}
