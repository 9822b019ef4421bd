//! The sweep without faults: what it deletes, what it keeps, and how slowly it calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onething::identifiers::CertificateId;
use onething::lifecycle::{Report, Sweep, sweep};
use onething::metrics::unmeasured;
use onething::onboarding::{Trigger, next};
use onething::registry::A_DAY;
use tokio::time::{Instant, sleep};

use crate::world::{FOREIGN_CERTIFICATES, Flaw, Registration, World};
use crate::{Event, Process, RETENTION, in_simulated_time, now, verdict};

/// AWS IoT allows ten calls per second of the slowest operations; half of them are left to the owners.
const CALLS_PER_SECOND: usize = 5;

fn process(world: &Arc<World>, who: usize) -> Process {
    Process::quiet(world, who, next)
}

fn add(world: &World, count: u64, registration: &Registration) -> Vec<CertificateId> {
    let mut account = world.account.lock().unwrap();
    let mut made = Vec::new();
    for _ in 0..count {
        account.created += 1;
        let id = CertificateId::parse(&format!("{:064x}", account.created)).unwrap();
        account.certificates.insert(id.clone(), registration.clone());
        made.push(id);
    }
    made
}

fn is_there(world: &World, id: &CertificateId) -> bool {
    world.account.lock().unwrap().certificates.contains_key(id)
}

/// The largest number of calls of one operation within a second, from the log of the world.
fn busiest_second(world: &World) -> (usize, String) {
    let mut calls: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in world.story().lines() {
        let mut words = line.split_whitespace();
        let (at, _, name) = (words.next().unwrap().parse().unwrap(), words.next(), words.next().unwrap_or_default());
        calls.entry(name.to_owned()).or_default().push(at);
    }
    let within = |times: &[f64], at: f64| times.iter().filter(|time| (at..at + 1.0).contains(*time)).count();
    let busiest = calls.into_iter().map(|(name, times)| (times.iter().map(|at| within(&times, *at)).max().unwrap_or(0), name));
    busiest.max().unwrap()
}

#[test]
fn only_orphans_are_deleted_and_slowly() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        let old = Registration { ours: true, made_at: now() - 2 * 3_600, ..Registration::default() };
        let mut orphans = add(&world, 60, &old);
        orphans.extend(add(&world, 2, &Registration { nameless: true, ..old.clone() }));
        let tied_and_nameless = add(&world, 2, &Registration { nameless: true, thing: true, ..old.clone() });
        let young = add(&world, 3, &Registration { made_at: now() - 3_000, ..old.clone() });
        let active = add(&world, 3, &Registration { active: true, ..old.clone() });
        let tied = add(&world, 3, &Registration { thing: true, ..old.clone() });
        let foreign = add(&world, 3, &Registration { ours: false, ..old });

        let report = process(&world, 1).sweeps().await;
        assert_eq!(report, Report { orphans: 62, complete: true, ..Report::default() });
        assert!(orphans.iter().all(|id| !is_there(&world, id)));
        for left in [young, active, tied, tied_and_nameless, foreign] {
            assert!(left.iter().all(|id| is_there(&world, id)));
        }
        let (calls, name) = busiest_second(&world);
        assert!(calls <= CALLS_PER_SECOND, "{calls} calls of {name} within a second");
    });
}

#[test]
fn the_next_sweep_continues_after_a_deadline() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        add(&world, 60, &Registration { ours: true, made_at: now() - 2 * 3_600, ..Registration::default() });
        let port = process(&world, 0).port;
        let short = Sweep {
            registry: &port,
            shadows: &port,
            lease: process(&world, 0).lease(),
            retention: RETENTION,
            deadline: Instant::now() + Duration::from_secs(25),
            measure: unmeasured,
        };
        let first = sweep(&short).await;
        assert!(!first.complete && (1..60).contains(&first.orphans), "{first:?}");
        let second = process(&world, 1).sweeps().await;
        assert!(second.complete, "{second:?}");
        assert_eq!(first.orphans + second.orphans, 60);
        assert_eq!(world.account.lock().unwrap().certificates.len() as u64, FOREIGN_CERTIFICATES);
    });
}

#[test]
fn an_owner_is_deleted_after_the_retention() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 1).answers(Event::Disabled(0)).await);
        sleep(Duration::from_secs(RETENTION - 60)).await;
        assert_eq!(process(&world, 2).sweeps().await, Report { complete: true, ..Report::default() });
        assert!(world.account.lock().unwrap().thing.is_some());

        sleep(Duration::from_secs(120)).await;
        assert_eq!(process(&world, 3).sweeps().await.forgotten, 1);
        // The registry refused to delete some resources at once; an hour later it does.
        for who in 4..6 {
            sleep(Duration::from_secs(2 * 3_600)).await;
            process(&world, who).sweeps().await;
        }
        let account = world.account.lock().unwrap();
        assert!(account.thing.is_none() && account.shadow.is_none());
        assert_eq!(account.certificates.len() as u64, FOREIGN_CERTIFICATES);
    });
}

#[test]
fn an_owner_who_returns_in_time_keeps_the_certificate_without_a_new_mail() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 1).answers(Event::Disabled(0)).await);
        assert!(!world.account.lock().unwrap().certificates.values().any(|registration| registration.active));
        sleep(Duration::from_secs(10 * A_DAY)).await;
        assert!(process(&world, 2).answers(Event::Contact(Trigger::Linked)).await);
        // The event that disabled the skill is delivered once more, late.
        assert!(process(&world, 3).answers(Event::Disabled(10 * A_DAY)).await);
        assert_eq!(world.account.lock().unwrap().mails.len(), 1);
        verdict(&world, true).unwrap();
    });
}

#[test]
fn a_replaced_certificate_works_until_the_new_one_is_in_use() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 1).answers(Event::Contact(Trigger::AsksForAnother)).await);
        let live = || world.account.lock().unwrap().certificates.values().filter(|registration| registration.works()).count();
        assert_eq!(live(), 2);
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 2).answers(Event::Contact(Trigger::Speech)).await);
        assert_eq!(live(), 2, "the new certificate is not in use yet");
        assert!(process(&world, 3).device_reports(true).await.is_ok());
        assert_eq!(live(), 2, "a report of the old certificate does not count for the new one");
        assert!(process(&world, 4).device_reports(false).await.is_ok());
        assert_eq!(live(), 1, "the report alone revokes the old certificate, without a request and a sweep");
        // A report of the old certificate from before arrives late.
        let used = world.account.lock().unwrap().report(false);
        assert!(process(&world, 5).device_reports(true).await.is_ok());
        assert_eq!((live(), world.account.lock().unwrap().report(false)), (1, used));
        assert!(process(&world, 6).answers(Event::Contact(Trigger::Speech)).await);
        assert_eq!(world.account.lock().unwrap().mails.len(), 2);
        verdict(&world, false).unwrap();
    });
}

#[test]
fn a_report_while_another_process_holds_the_lease_is_not_lost() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 1).answers(Event::Contact(Trigger::AsksForAnother)).await);
        // Another process holds the lease of the thing and has died.
        {
            let mut account = world.account.lock().unwrap();
            let entry = account.thing.as_mut().unwrap();
            (entry.record.run, entry.record.until, entry.version) = ("another".into(), crate::now() + 4, entry.version + 1);
        }
        let began = tokio::time::Instant::now();
        let two = process(&world, 2);
        let (reported, left) = tokio::join!(two.device_reports(false), async {
            while world.account.lock().unwrap().certificates.values().filter(|registration| registration.active).count() > 1 {
                sleep(Duration::from_millis(10)).await;
            }
            began.elapsed()
        });
        assert!(reported.unwrap().ends_with("1 are revoked"));
        assert!(left < Duration::from_secs(2), "the replaced certificate becomes INACTIVE at once: {left:?}");
        verdict(&world, false).unwrap();
    });
}

#[test]
fn a_report_revokes_nothing_while_the_owner_is_suspended() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 1).answers(Event::Contact(Trigger::AsksForAnother)).await);
        let reported = world.account.lock().unwrap().report(false).unwrap();
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 2).answers(Event::Disabled(0)).await);
        let (port, deadline) = (process(&world, 3).port, tokio::time::Instant::now() + Duration::from_secs(5));
        let lease = process(&world, 3).lease();
        assert_eq!(onething::lifecycle::in_use(&port, &port, &lease, &crate::thing(), &reported, deadline).await.unwrap(), 0);
    });
}

#[test]
fn a_replaced_certificate_works_for_a_day_at_most() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 1).answers(Event::Contact(Trigger::AsksForAnother)).await);
        sleep(Duration::from_secs(A_DAY - 60)).await;
        assert_eq!(process(&world, 2).sweeps().await.cleaned_up, 0);
        sleep(Duration::from_secs(120)).await;
        assert_eq!(process(&world, 3).sweeps().await.cleaned_up, 1);
        verdict(&world, false).unwrap();
        let account = world.account.lock().unwrap();
        assert_eq!(account.certificates.values().filter(|registration| registration.works()).count(), 1);
    });
}

#[test]
fn the_owner_is_told_about_a_returned_mail_once() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        sleep(Duration::from_secs(60)).await;
        let bounce = Event::MailReturned(onething::registry::Bounce::Bounced);
        assert!(process(&world, 1).answers(bounce).await);
        // The skill first tells the owner about the returned mail, and sends no new one.
        assert!(!process(&world, 2).answers(Event::Contact(Trigger::AsksForAnother)).await);
        assert_eq!(world.account.lock().unwrap().mails.len(), 1);
        assert!(process(&world, 3).answers(Event::Contact(Trigger::AsksForAnother)).await);
        assert_eq!(world.account.lock().unwrap().mails.len(), 2);

        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 4).answers(bounce).await);
        let said = process(&world, 5).contact(Trigger::Speech).await.unwrap();
        assert!(said.contains("Bounced"), "{said}");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(process(&world, 6).contact(Trigger::Speech).await.unwrap(), "Onboarded { mailed: false, bounce: None }");
    });
}

#[test]
fn a_deleted_owner_leaves_nothing_and_can_start_again() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(process(&world, 0).answers(Event::Contact(Trigger::Speech)).await);
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 1).answers(Event::Forget).await);
        {
            let account = world.account.lock().unwrap();
            assert!(account.shadow.is_none());
            assert!(!account.certificates.values().any(|registration| registration.active || registration.thing));
        }
        sleep(Duration::from_secs(60)).await;
        assert!(process(&world, 2).answers(Event::Contact(Trigger::Speech)).await);
        assert_eq!(world.account.lock().unwrap().mails.len(), 2);
        verdict(&world, false).unwrap();
        sleep(Duration::from_secs(2 * 3_600)).await;
        process(&world, 3).sweeps().await;
        verdict(&world, true).unwrap();
    });
}
