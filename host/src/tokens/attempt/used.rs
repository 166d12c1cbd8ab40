//! What an attempt has used of its flow's limits: steps and requests. An attempt that goes on after a restart begins anew, and
//! so does one at each wait for a person, which its deadline bounds.

use crate::flows::{Limit, Limits};

/// What was used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    steps: u32,
    requests: u32,
}

impl Used {
    /// Counts a step that is about to be taken.
    pub(super) fn step(&mut self, limits: Limits) -> Result<(), Limit> {
        take(&mut self.steps, limits.steps, Limit::Steps)
    }

    /// Counts a request that is about to be sent.
    pub(super) fn request(&mut self, limits: Limits) -> Result<(), Limit> {
        take(&mut self.requests, limits.requests, Limit::Requests)
    }
}

fn take(used: &mut u32, most: u32, limit: Limit) -> Result<(), Limit> {
    if *used >= most {
        return Err(limit);
    }
    *used += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_used_than_is_allowed() {
        let limits = Limits { steps: 2, requests: 1, ..Limits::default() };
        let mut used = Used::default();
        used.step(limits).unwrap();
        used.request(limits).unwrap();
        used.step(limits).unwrap();
        assert_eq!(used.step(limits), Err(Limit::Steps));
        assert_eq!(used.request(limits), Err(Limit::Requests));
        used.step(Limits { steps: 3, ..limits }).unwrap();
    }
}
