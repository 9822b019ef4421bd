//! The stored history of a user's simulated Echo: turns and cards, which survive a restart of the hub.

use std::sync::Arc;

use rusqlite::Connection;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::sign_in::UserName;
use crate::simulator::turn::Turn;
use crate::storage::store::{Store, StoreError};

/// The number of turns, and of cards, that are stored for each user.
pub(crate) const LENGTH: usize = 50;
/// The largest stored turn, in bytes of JSON. A longer turn is stored without its request and response.
const LONGEST: usize = 64 * 1024;

/// The turns and cards of a user, oldest first.
pub(crate) type History = (Vec<Arc<Turn>>, Vec<Value>);

/// Loads the history of a user. The session of the Echo ended with the process, so no loaded turn is listening.
pub(crate) async fn load(store: &Store, user: &UserName) -> Result<History, StoreError> {
    let user = user.as_str().to_owned();
    let (mut turns, cards) = store
        .read::<_, StoreError>(move |db| {
            let turns: Vec<Turn> = rows(db, "SELECT turn FROM local_turn WHERE user = ?1 ORDER BY number", &user)?;
            let cards: Vec<Value> = rows(db, "SELECT card FROM local_card WHERE user = ?1 ORDER BY number", &user)?;
            Ok((turns, cards))
        })
        .await?;
    for turn in &mut turns {
        if let Some(listening) = turn.output.get_mut("listening") {
            *listening = Value::Bool(false);
        }
    }
    Ok((turns.into_iter().map(Arc::new).collect(), cards))
}

/// Reads the rows of a query. A row that cannot be parsed was written by another version, and is skipped.
fn rows<T: DeserializeOwned>(db: &Connection, sql: &str, user: &str) -> rusqlite::Result<Vec<T>> {
    let mut query = db.prepare_cached(sql)?;
    let texts = query.query_map([user], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
}

/// Stores a turn and the cards of its response, and deletes the oldest rows beyond [`LENGTH`].
pub(crate) async fn keep(store: &Store, user: &UserName, turn: &Turn, cards: &[Value]) -> Result<(), StoreError> {
    let (user, cards) = (user.as_str().to_owned(), cards.iter().map(Value::to_string).collect::<Vec<_>>());
    let mut text = serde_json::to_string(turn).unwrap_or_default();
    if text.len() > LONGEST {
        text = serde_json::to_string(&Turn { request: None, response: None, ..turn.clone() }).unwrap_or_default();
    }
    let change = move |db: &Connection| {
        insert(db, "local_turn", "turn", &user, &text)?;
        cards.iter().try_for_each(|card| insert(db, "local_card", "card", &user, card))?;
        Ok(())
    };
    store.change::<_, StoreError>(change).await
}

fn insert(db: &Connection, table: &str, column: &str, user: &str, text: &str) -> rusqlite::Result<()> {
    db.prepare_cached(&format!("INSERT INTO {table} (user, {column}) VALUES (?1, ?2)"))?.execute([user, text])?;
    let surplus = format!(
        "DELETE FROM {table} WHERE user = ?1 AND number <= (SELECT number FROM {table} WHERE user = ?1 ORDER BY number DESC LIMIT 1 OFFSET {LENGTH})"
    );
    db.prepare_cached(&surplus)?.execute([user]).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn store_with_user() -> (Store, UserName, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("hub.db")).unwrap();
        let ana = UserName::parse("ana").unwrap();
        crate::sign_in::LocalLogin::new(store.clone()).user(&ana, None).await.unwrap();
        (store, ana, folder)
    }

    fn turn(at: u64, listening: bool) -> Turn {
        Turn {
            at,
            say: Some(format!("number {at}")),
            request: Some(json!({"n": at})),
            response: None,
            output: json!({"listening": listening}),
        }
    }

    #[tokio::test]
    async fn the_latest_turns_and_cards_are_stored_and_no_turn_is_listening() {
        let (store, ana, _folder) = store_with_user().await;
        let last = LENGTH as u64 + 3;
        for at in 1..=last {
            keep(&store, &ana, &turn(at, true), &[json!({"at": at})]).await.unwrap();
        }
        let (turns, cards) = load(&store, &ana).await.unwrap();
        assert_eq!((turns.len(), cards.len()), (LENGTH, LENGTH));
        assert_eq!((turns[0].at, turns[LENGTH - 1].at, &cards[0]), (4, last, &json!({"at": 4})));
        assert_eq!(*turns[LENGTH - 1], turn(last, false));
        assert!(load(&store, &UserName::parse("ben").unwrap()).await.unwrap().0.is_empty());
    }

    #[tokio::test]
    async fn a_turn_with_very_long_envelopes_is_stored_without_them() {
        let (store, ana, _folder) = store_with_user().await;
        let long = Turn { request: Some(json!("x".repeat(LONGEST))), ..turn(1, false) };
        keep(&store, &ana, &long, &[]).await.unwrap();
        assert_eq!(*load(&store, &ana).await.unwrap().0[0], Turn { request: None, ..turn(1, false) });
    }
}
