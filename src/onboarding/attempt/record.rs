//! The record that an attempt writes at each of its steps, and the mark that it writes to the shadow.

use super::{Attempt, TIME_TO_RELAY};
use crate::onboarding::decision::Trigger;
use crate::registry::{Record, within_a_day};
use crate::shadow::Patch;

impl<R, S, D> Attempt<'_, R, S, D> {
    /// The record with a new lease of this attempt, whose expiry time limits the attempt.
    fn held(&mut self, record: Record) -> Record {
        let lease = &self.means.lease;
        self.end = self.limit.min(lease.end());
        Record { run: lease.run.clone(), until: lease.until(), ..record }
    }

    pub(super) fn taken_over(&mut self, found: &Record) -> Record {
        let request = &self.known.request;
        let mut record = found.clone();
        if !request.registers() {
            // Alexa's clock may be ahead of ours. The event that suspended the owner must not count again.
            record.linked = record.linked.max(request.at).max(record.suspended.unwrap_or_default());
        }
        record.again |= request.asks() && record.delivered.is_some() && !record.forget;
        record.alexa_user = request.alexa_user.clone().or(record.alexa_user);
        if record.serves() && !request.asks() && !request.registers() {
            self.limit = self.means.deadline.checked_sub(TIME_TO_RELAY).unwrap_or(self.means.deadline);
        }
        self.held(record)
    }

    /// The record with this attempt's certificate. A delivered certificate stays valid for a day. When a device registers, the
    /// current certificate does not change until the registration is complete.
    pub(super) fn naming(&mut self, mut record: Record) -> Record {
        let now = (self.means.lease.now)();
        if record.forget {
            // After a deletion the owner starts with a new record. Only the limit for mails still applies.
            record = Record { sent: record.sent, alexa_user: record.alexa_user, linked: record.linked, ..Record::default() };
        }
        record.let_go(&self.known.revoked);
        if self.known.request.registers() {
            record.coming.clone_from(&self.known.created);
            return self.held(record);
        }
        record.replace(self.known.created.clone(), now);
        (record.coming, record.predecessor, record.delivered) = (None, None, None);
        record.sent = [within_a_day(&record.sent, now), vec![now]].concat();
        self.held(record)
    }

    pub(super) fn completed(&self, found: &Record) -> Record {
        let now = (self.means.lease.now)();
        let mut record = Record { suspended: None, ..found.clone() };
        record.let_go(&self.known.revoked);
        record.coming.take_if(|id| self.known.revoked.contains(id));
        if self.known.mailed && self.known.request.registers() {
            // If only the response to this write was lost, the record already has the certificate.
            if let Some(mine) = record.coming.take() {
                record.replace(Some(mine), now);
                record.delivered = Some(now);
                record.predecessor = self.who.predecessor.cloned();
            }
            record.said.extend(self.who.said.clone());
            // No write follows that another attempt could overtake, so the lease ends and the next request need not wait.
            record.until = 0;
        } else if self.known.mailed {
            record.again = false;
            record.delivered = Some(now);
        } else if self.known.request.trigger != Trigger::Linked && !self.known.request.registers() {
            record.bounce = None;
        }
        record
    }

    /// The mark for the shadow, with the command or settings of a new owner.
    pub(super) fn mark(&self, record: &Record) -> Patch {
        let at = record.delivered.unwrap_or(self.known.request.at);
        let look = record.wants_a_look().then_some(at);
        let mark = Patch::ready(at, record.certificate.as_ref(), look);
        match self.who.wanted {
            Some(wanted) if self.known.mailed => mark.and(wanted),
            _ => mark,
        }
    }
}
