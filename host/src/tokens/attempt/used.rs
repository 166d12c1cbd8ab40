//! What an attempt has used of its flow's limits: steps and requests. An attempt that goes on after a restart begins anew.

use crate::flows::step::Event;
use crate::flows::{Limit, Limits};

/// What was used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    steps: u32,
    requests: u32,
}

impl Used {
    /// Counts a step that is about to be taken at this event.
    pub(super) fn step(&mut self, _event: &Event, limits: Limits) -> Result<(), Limit> {
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
    use crate::flows::step::Purpose;

    #[test]
    fn no_more_is_used_than_is_allowed() {
        let limits = Limits { steps: 2, requests: 1, ..Limits::default() };
        let (mut used, begin) = (Used::default(), Event::Begin(Purpose::Acquire));
        used.step(&begin, limits).unwrap();
        used.request(limits).unwrap();
        used.step(&begin, limits).unwrap();
        assert_eq!(used.step(&begin, limits), Err(Limit::Steps));
        assert_eq!(used.request(limits), Err(Limit::Requests));
        used.step(&begin, Limits { steps: 3, ..limits }).unwrap();
    }
}
