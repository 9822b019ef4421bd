use super::super::tests::{credentials, entries, hold, hold_for};
use crate::state::State;

#[test]
fn renewed_credentials_are_in_use_and_the_former_are_kept_until_they_are_confirmed() {
    let place = tempfile::tempdir().unwrap();
    let held = hold(place.path());
    held.store(&credentials("one")).unwrap();
    assert_eq!((held.former().unwrap(), held.fall_back().unwrap()), (None, None));
    held.renew(&credentials("two")).unwrap();
    assert_eq!((held.credentials().unwrap(), held.former().unwrap()), (Some(credentials("two")), Some(credentials("one"))));
    assert_eq!(entries(place.path()), ["credentials-1", "credentials-2", "current", "former", "lock"]);
    held.confirm().unwrap();
    assert_eq!((held.credentials().unwrap(), held.former().unwrap()), (Some(credentials("two")), None));
    assert_eq!(entries(place.path()), ["credentials-2", "current", "lock"]);
    held.confirm().unwrap();
    assert_eq!(held.credentials().unwrap(), Some(credentials("two")));
}

#[test]
fn a_device_returns_to_confirmed_credentials_only() {
    let place = tempfile::tempdir().unwrap();
    let held = hold(place.path());
    held.store(&credentials("one")).unwrap();
    held.renew(&credentials("two")).unwrap();
    held.renew(&credentials("three")).unwrap();
    assert_eq!(entries(place.path()), ["credentials-1", "credentials-3", "current", "former", "lock"]);
    assert_eq!(held.fall_back().unwrap(), Some(credentials("one")));
    assert_eq!((held.credentials().unwrap(), held.fall_back().unwrap()), (Some(credentials("one")), None));
    assert_eq!(entries(place.path()), ["credentials-1", "current", "lock"]);
}

#[test]
fn a_store_and_a_deletion_end_a_trial() {
    let place = tempfile::tempdir().unwrap();
    let held = hold(place.path());
    held.renew(&credentials("one")).unwrap();
    assert_eq!(held.fall_back().unwrap(), None);
    held.renew(&credentials("two")).unwrap();
    held.store(&credentials("three")).unwrap();
    assert_eq!((held.credentials().unwrap(), held.fall_back().unwrap()), (Some(credentials("three")), None));
    held.renew(&credentials("four")).unwrap();
    held.keep_pending_key("key").unwrap();
    assert!(held.forget().unwrap());
    assert_eq!(entries(place.path()), ["lock"]);
}

/// Fails after each number of operations: the device has the old or the new credentials, and can return to the old ones while the
/// new ones are on trial.
#[test]
fn a_power_failure_during_a_renewal_loses_no_credentials() {
    let mut seen = Vec::new();
    for operations in 0.. {
        let place = tempfile::tempdir().unwrap();
        hold(place.path()).store(&credentials("old")).unwrap();
        let done = hold_for(place.path(), operations).renew(&credentials("new")).is_ok();
        let state = State::at(place.path());
        let (current, former) = (state.credentials().unwrap().unwrap(), state.former().unwrap());
        assert_eq!(former, (current == credentials("new")).then(|| credentials("old")), "{operations}");
        seen.push(former.is_some());
        let held = hold(place.path());
        held.renew(&credentials("newer")).unwrap();
        assert_eq!(held.fall_back().unwrap(), Some(credentials("old")), "{operations}");
        if done {
            break;
        }
    }
    assert!(seen.contains(&false) && seen.contains(&true));
}

#[test]
fn a_power_failure_at_the_end_of_a_trial_loses_no_credentials() {
    for operations in 0.. {
        let place = tempfile::tempdir().unwrap();
        hold(place.path()).store(&credentials("old")).unwrap();
        hold(place.path()).renew(&credentials("new")).unwrap();
        let back = tempfile::tempdir().unwrap();
        hold(back.path()).store(&credentials("old")).unwrap();
        hold(back.path()).renew(&credentials("new")).unwrap();
        let on = hold_for(place.path(), operations).confirm().is_ok();
        let gone_back = hold_for(back.path(), operations).fall_back().is_ok();
        assert_eq!(State::at(place.path()).credentials().unwrap(), Some(credentials("new")), "{operations}");
        let current = State::at(back.path()).credentials().unwrap().unwrap();
        assert!(current == credentials("old") || current == credentials("new"), "{operations}");
        hold(place.path()).confirm().unwrap();
        hold(back.path()).fall_back().unwrap();
        assert_eq!(State::at(back.path()).credentials().unwrap(), Some(credentials("old")), "{operations}");
        if on && gone_back {
            break;
        }
    }
}
