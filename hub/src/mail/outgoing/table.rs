//! The database table of outgoing mail.

use onething::fault::{ClassifiedError, Fault, chain};
use onething::identifiers::{CertificateId, ThingName};
use onething::login::EmailAddress;
use onething::mail::{Label, Letter, MailError};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::state::State;
use crate::storage::store::{StoreError, seconds};

/// The number of rows that are kept. Rows of mail that waits are kept in any case.
const KEPT: i64 = 10_000;
/// The largest number of mails that wait. A mail has about twenty kilobytes.
const MAY_WAIT: i64 = 1_000;

/// A mail as an operator may see it: with a masked address, and without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// The number of the mail in this hub, which increases.
    pub number: i64,
    /// When the mail was queued, as Unix time in seconds.
    pub at: u64,
    /// When the row was last updated, as Unix time in seconds.
    pub changed: u64,
    /// The masked address of its recipient.
    pub to: String,
    /// The thing whose certificate the mail contains, if it contains one.
    pub thing: Option<String>,
    /// The id of that certificate.
    pub certificate: Option<String>,
    /// The state of the mail.
    pub state: State,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The time of the next attempt, as Unix time in seconds. Zero means at once.
    pub next_attempt: Option<u64>,
    /// Who must act: `speaker` (the user), `again` (the hub, which tries again) or `maker` (the operator).
    pub fault: Option<String>,
    /// The error of the last attempt.
    pub failure: Option<String>,
}

impl Mail {
    const COLUMNS: &str = "number, at, changed, recipient, thing, certificate, state, attempts, next_attempt, fault, failure";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (recipient, state): (String, _) = (row.get(3)?, State::parse(&row.get::<_, String>(6)?));
        // The address of a mail that no longer waits is stored masked.
        let masked = || EmailAddress::parse(&recipient).map_or_else(|| "***".to_owned(), |address| address.masked());
        Ok(Self {
            number: row.get(0)?,
            at: row.get::<_, i64>(1)?.unsigned_abs(),
            changed: row.get::<_, i64>(2)?.unsigned_abs(),
            to: if state == State::Waiting { masked() } else { recipient },
            thing: row.get(4)?,
            certificate: row.get(5)?,
            state,
            attempts: row.get(7)?,
            next_attempt: row.get::<_, Option<i64>>(8)?.map(|next| next.unsigned_abs() / 1_000),
            fault: row.get(9)?,
            failure: row.get(10)?,
        })
    }

    /// Whether the mail needs a repair by the operator before it can be sent.
    pub fn is_the_operators(&self) -> bool {
        self.fault.as_deref() == Some("maker")
    }
}

/// A mail that waits, with its content.
pub(super) struct Waiting {
    pub(super) letter: Letter,
    pub(super) at: u64,
    pub(super) attempts: u32,
}

/// A mail whose next attempt is due.
pub(super) struct Due {
    pub(super) number: i64,
    pub(super) recipient: String,
}

/// Stores a mail for an attempt as soon as possible, and returns its number. Drops waiting mail of the same thing. `None` if too
/// many mails wait.
pub(super) fn keep(db: &Connection, letter: &Letter, now: u64) -> Result<Option<i64>, StoreError> {
    let waiting: i64 = db.query_row("SELECT count(*) FROM outgoing_mail WHERE next_attempt IS NOT NULL", [], |row| row.get(0))?;
    if waiting >= MAY_WAIT {
        return Ok(None);
    }
    if let Some(label) = &letter.label {
        let sql = "SELECT number FROM outgoing_mail WHERE thing = ?1 AND next_attempt IS NOT NULL";
        let older: Vec<i64> = db.prepare_cached(sql)?.query_map([label.thing.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for number in older {
            conclude(db, number, State::Dropped, None, now)?;
        }
    } else {
        // A mail without a label may be the last one, after the thing was deleted. Then the waiting mail of the recipient must be
        // checked before it.
        let sql = "UPDATE outgoing_mail SET next_attempt = 0 WHERE recipient = ?1 AND next_attempt IS NOT NULL";
        db.prepare_cached(sql)?.execute([letter.to.whole()])?;
    }
    insert(db, letter, State::Waiting, None, now).map(Some)
}

/// Records a mail that needs no queue, with its result.
pub(super) fn note(db: &Connection, letter: &Letter, failure: Option<&MailError>, now: u64) -> Result<(), StoreError> {
    let state = if failure.is_none() { State::Sent } else { State::Failed };
    insert(db, letter, state, failure, now)?;
    prune(db)
}

fn insert(db: &Connection, letter: &Letter, state: State, failure: Option<&MailError>, now: u64) -> Result<i64, StoreError> {
    let label = letter.label.as_ref();
    let (thing, certificate) = (label.map(|label| label.thing.as_str()), label.map(|label| label.certificate.as_str()));
    let waits = state == State::Waiting;
    let recipient = if waits { letter.to.whole() } else { letter.to.masked() };
    let message = waits.then_some(letter.message.as_slice());
    let (fault, failure) = words(failure);
    let sql = "INSERT INTO outgoing_mail
        (at, changed, thing, certificate, sender, recipient, message, state, attempts, next_attempt, fault, failure)
        VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10)";
    let values = params![
        seconds(now),
        thing,
        certificate,
        letter.from,
        recipient,
        message,
        state.as_str(),
        waits.then_some(0),
        fault.map(|fault| fault.to_string()),
        failure
    ];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(db.last_insert_rowid())
}

fn words(failure: Option<&MailError>) -> (Option<Fault>, Option<String>) {
    (failure.map(ClassifiedError::fault), failure.map(|failure| chain(failure)))
}

/// Makes all waiting mail due now, or only the mail that waits for the operator.
pub(super) fn hurry(db: &Connection, only_the_operators: bool) -> Result<(), StoreError> {
    let sql = "UPDATE outgoing_mail SET next_attempt = 0 WHERE next_attempt IS NOT NULL AND (fault = 'maker' OR NOT ?1)";
    db.prepare_cached(sql)?.execute([only_the_operators])?;
    Ok(())
}

/// The mail that is due, the oldest first, and the Unix time of the next attempt after that, in milliseconds. A time that is
/// further away than the longest pause was written before the clock was set back, so that mail is due as well.
pub(super) fn due(db: &Connection, now: u64, longest_pause: u64) -> Result<(Vec<Due>, Option<u64>), StoreError> {
    let sql = "SELECT number, recipient, next_attempt FROM outgoing_mail WHERE next_attempt IS NOT NULL ORDER BY number";
    let mut waiting = db.prepare_cached(sql)?;
    let rows =
        waiting.query_map([], |row| Ok((Due { number: row.get(0)?, recipient: row.get(1)? }, row.get::<_, i64>(2)?.unsigned_abs())))?;
    let (mut due, mut next) = (Vec::new(), None);
    for row in rows {
        let (mail, at) = row?;
        if at <= now || at > now + longest_pause {
            due.push(mail);
        } else {
            next = Some(next.map_or(at, |next: u64| next.min(at)));
        }
    }
    Ok((due, next))
}

/// The content of a mail, if the mail still waits.
pub(super) fn waiting(db: &Connection, number: i64) -> Result<Option<Waiting>, StoreError> {
    let sql = "SELECT at, thing, certificate, sender, recipient, message, attempts FROM outgoing_mail
        WHERE number = ?1 AND next_attempt IS NOT NULL";
    let read = |row: &Row<'_>| {
        let (thing, certificate): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
        let label = thing.and_then(|thing| ThingName::parse(&thing)).zip(certificate.and_then(|id| CertificateId::parse(&id)));
        let to = EmailAddress::parse(&row.get::<_, String>(4)?);
        let (from, message) = (row.get(3)?, row.get(5)?);
        let letter = to.map(|to| Letter { from, to, message, label: label.map(|(thing, certificate)| Label { thing, certificate }) });
        Ok((letter, row.get::<_, i64>(0)?.unsigned_abs(), row.get(6)?))
    };
    let found = db.prepare_cached(sql)?.query_row([number], read).optional()?;
    // Only this module writes addresses, so they can be parsed.
    Ok(found.and_then(|(letter, at, attempts)| Some(Waiting { letter: letter?, at, attempts })))
}

/// Sets the next attempt to the Unix time `next`, in milliseconds. Without a failure there was no attempt.
pub(super) fn postpone(db: &Connection, number: i64, next: u64, failure: Option<&MailError>, now: u64) -> Result<(), StoreError> {
    let (fault, words) = words(failure);
    let sql = "UPDATE outgoing_mail SET next_attempt = ?2, changed = ?3, attempts = attempts + ?4,
        fault = coalesce(?5, fault), failure = coalesce(?6, failure) WHERE number = ?1 AND next_attempt IS NOT NULL";
    let values = params![number, seconds(next), seconds(now), u32::from(failure.is_some()), fault.map(|fault| fault.to_string()), words];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Ends the waiting of a mail, masks its address, and deletes its content.
pub(super) fn conclude(db: &Connection, number: i64, state: State, failure: Option<&MailError>, now: u64) -> Result<(), StoreError> {
    let sql = "SELECT recipient FROM outgoing_mail WHERE number = ?1 AND next_attempt IS NOT NULL";
    let Some(recipient) = db.prepare_cached(sql)?.query_row([number], |row| row.get::<_, String>(0)).optional()? else { return Ok(()) };
    let recipient = EmailAddress::parse(&recipient).map_or_else(String::new, |address| address.masked());
    let (fault, words) = words(failure);
    let sql =
        "UPDATE outgoing_mail SET state = ?2, changed = ?3, recipient = ?4, message = NULL, next_attempt = NULL, fault = ?5, failure = ?6
        WHERE number = ?1";
    let values = params![number, state.as_str(), seconds(now), recipient, fault.map(|fault| fault.to_string()), words];
    db.prepare_cached(sql)?.execute(values)?;
    prune(db)
}

fn prune(db: &Connection) -> Result<(), StoreError> {
    let sql = "DELETE FROM outgoing_mail WHERE number <= (SELECT max(number) FROM outgoing_mail) - ?1 AND next_attempt IS NULL";
    db.prepare_cached(sql)?.execute([KEPT])?;
    Ok(())
}

/// The last mails of one thing or of all things, the oldest first.
pub(crate) fn last(db: &Connection, thing: Option<&str>, count: u32) -> Result<Vec<Mail>, StoreError> {
    let columns = Mail::COLUMNS;
    let sql = format!(
        "SELECT * FROM (SELECT {columns} FROM outgoing_mail WHERE ?1 IS NULL OR thing = ?1 ORDER BY number DESC LIMIT ?2) ORDER BY number"
    );
    Ok(db.prepare_cached(&sql)?.query_map(params![thing, count], Mail::read)?.collect::<rusqlite::Result<_>>()?)
}

/// The last mails that were not sent at the first attempt, ordered by their last change.
pub(crate) fn delayed(db: &Connection, count: u32) -> Result<Vec<Mail>, StoreError> {
    let columns = Mail::COLUMNS;
    let sql = format!(
        "SELECT * FROM (SELECT {columns} FROM outgoing_mail WHERE state <> 'sent' OR attempts > 0 ORDER BY changed DESC, number DESC LIMIT ?1)
         ORDER BY changed, number"
    );
    Ok(db.prepare_cached(&sql)?.query_map([count], Mail::read)?.collect::<rusqlite::Result<_>>()?)
}

/// The waiting mail of a thing.
pub(super) fn waiting_of(db: &Connection, thing: &str) -> Result<Option<Mail>, StoreError> {
    let sql = format!("SELECT {} FROM outgoing_mail WHERE thing = ?1 AND next_attempt IS NOT NULL", Mail::COLUMNS);
    Ok(db.prepare_cached(&sql)?.query_row([thing], Mail::read).optional()?)
}

/// All waiting mail, the oldest first.
pub(super) fn all_waiting(db: &Connection) -> Result<Vec<Mail>, StoreError> {
    let sql = format!("SELECT {} FROM outgoing_mail WHERE next_attempt IS NOT NULL ORDER BY number", Mail::COLUMNS);
    Ok(db.prepare_cached(&sql)?.query_map([], Mail::read)?.collect::<rusqlite::Result<_>>()?)
}

/// The last mail that was sent or given up.
pub(super) fn last_decided(db: &Connection) -> Result<Option<Mail>, StoreError> {
    let sql =
        format!("SELECT {} FROM outgoing_mail WHERE state IN ('sent', 'failed') ORDER BY changed DESC, number DESC LIMIT 1", Mail::COLUMNS);
    Ok(db.prepare_cached(&sql)?.query_row([], Mail::read).optional()?)
}
