//! The kit on plugins with faults, which it has to find. On good flows it is tested at the command line, with those that ship.
