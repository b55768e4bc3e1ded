//! What can be done to a batch, as pure state machines.
