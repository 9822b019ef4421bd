//! Tests of users and access tokens.

use onething::login::identify;

use super::*;

struct Hub {
    login: LocalLogin,
    place: tempfile::TempDir,
}

fn over(place: &tempfile::TempDir) -> LocalLogin {
    LocalLogin::new(Store::open(&place.path().join("hub.db")).unwrap())
}

fn hub() -> Hub {
    let place = tempfile::tempdir().unwrap();
    Hub { login: over(&place), place }
}

fn ana() -> UserName {
    UserName::parse("Ana").unwrap()
}

#[tokio::test]
async fn a_token_identifies_its_user_also_after_a_restart() {
    let Hub { login, place } = hub();
    let token = login.link(&ana()).await.unwrap();
    drop(login);
    let login = over(&place);
    let identity = identify(&login, Some(CLIENT_ID), &token).await.unwrap();
    assert_eq!(identity.profile.owner.as_str(), "amzn1.account.ANA");
    assert_eq!(UserName::of(&identity.profile.owner), Some(ana()));
    assert_eq!(identity.profile.name.as_deref(), Some("Ana"));
    assert_eq!(login.users().await.unwrap()[0].token().unwrap().secret(), token.secret());
}

#[tokio::test]
async fn unknown_replaced_and_revoked_tokens_are_invalid() {
    let Hub { login, place: _place } = hub();
    let first = login.link(&ana()).await.unwrap();
    let second = login.link(&ana()).await.unwrap();
    assert!(matches!(login.profile(&first).await, Err(IdentifyError::TokenInvalid)), "a new link replaces the old one");
    login.profile(&second).await.unwrap();
    login.unlink(&ana()).await.unwrap();
    for token in [first, second, AccessToken::new("Atza|made-up".into())] {
        assert!(matches!(login.profile(&token).await, Err(IdentifyError::TokenInvalid)));
        assert!(matches!(login.token_info(&token).await, Err(IdentifyError::TokenInvalid)));
    }
}

#[tokio::test]
async fn a_cached_user_is_read_again_after_a_change() {
    let Hub { login, place: _place } = hub();
    assert!(login.user(&ana(), None).await.unwrap().token().is_none());
    let token = login.link(&ana()).await.unwrap();
    assert_eq!(login.user(&ana(), None).await.unwrap().token().unwrap().secret(), token.secret());
    // A caller that is cancelled does not cancel the transaction.
    let _ = tokio::time::timeout(std::time::Duration::ZERO, login.unlink(&ana())).await;
    assert!(login.users().await.unwrap()[0].token().is_none());
    assert!(login.user(&ana(), None).await.unwrap().token().is_none());
}

#[tokio::test]
async fn a_user_is_created_once_and_the_debug_form_has_no_address() {
    let Hub { login, place: _place } = hub();
    let user = login.user(&ana(), None).await.unwrap();
    assert_eq!((user.name.as_str(), user.address(), user.masked_address().as_str()), ("Ana", "ana@example.com", "a…@example.com"));
    assert_eq!(format!("{user:?}"), "User(ana)");
    let again = login.user(&ana(), Some("other@example.com")).await.unwrap();
    assert_eq!(again.address(), "ana@example.com");
    assert!(matches!(login.user(&UserName::parse("ben").unwrap(), Some("nowhere")).await, Err(UserError::Address)));
    assert_eq!(login.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_one_of_many_concurrent_calls_adds_a_user() {
    let Hub { login, place: _place } = hub();
    let adding = futures_util::future::join_all((0..8).map(|_| async { login.add("Ana", None).await })).await;
    assert_eq!(adding.iter().filter(|added| added.is_ok()).count(), 1);
    assert!(adding.iter().all(|added| matches!(added, Ok(_) | Err(UserError::Taken))));
}

#[tokio::test]
async fn a_user_may_have_any_first_name_and_be_removed() {
    let Hub { login, place: _place } = hub();
    for (name, named) in [("Zoë", "zo"), ("Mr X", "mr-x"), ("  李  ", "user"), ("Ольга", "user-2"), ("mr. x!", "mr-x-2")] {
        let user = login.add(name, None).await.unwrap();
        assert_eq!((user.user.as_str(), user.name.as_str()), (named, name.trim()));
        assert!(UserName::parse(named).is_ok() && user.user.owner().is_some() && is_address(user.address()));
    }
    assert!(matches!(login.add("zoË", None).await, Err(UserError::Taken)));
    for bad in ["", "   ", "a\u{7}b", &"x".repeat(41)] {
        assert!(matches!(login.add(bad, None).await, Err(UserError::FirstName)), "{bad}");
    }
    login.remove(&UserName::parse("zo").unwrap()).await.unwrap();
    assert_eq!(login.users().await.unwrap().len(), 4);
    assert_eq!(login.add("Zoë", None).await.unwrap().user.as_str(), "zo");
}

#[test]
fn user_names_are_one_ascii_word() {
    for bad in ["", "two words", "ä", "a/b", "../x", &"x".repeat(33)] {
        assert!(UserName::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(UserName::parse("Ben_2-x").unwrap().as_str(), "ben_2-x");
}
