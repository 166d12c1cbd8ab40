//! Tests of [`Access`](super::Access) against the store for tests.

use secrecy::ExposeSecret;

use super::*;
