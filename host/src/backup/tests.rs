//! An archive made of a real store and made into another one.
