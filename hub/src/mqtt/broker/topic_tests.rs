use proptest::prelude::*;

use super::*;

#[test]
fn names_and_filters_are_validated_as_in_mqtt() {
    let cases = [
        ("", Err(TopicError::Empty), Err(TopicError::Empty)),
        ("a", Ok(()), Ok(())),
        ("/", Ok(()), Ok(())),
        ("/a//b/", Ok(()), Ok(())),
        (" ", Ok(()), Ok(())),
        ("ä/😀", Ok(()), Ok(())),
        ("$aws/things/a/shadow/get", Ok(()), Ok(())),
        ("a\0", Err(TopicError::Null), Err(TopicError::Null)),
        ("#", Err(TopicError::WildcardInName), Ok(())),
        ("+", Err(TopicError::WildcardInName), Ok(())),
        ("+/a/+/#", Err(TopicError::WildcardInName), Ok(())),
        ("/+", Err(TopicError::WildcardInName), Ok(())),
        ("a#", Err(TopicError::WildcardInName), Err(TopicError::MisplacedWildcard)),
        ("a/b#", Err(TopicError::WildcardInName), Err(TopicError::MisplacedWildcard)),
        ("#/a", Err(TopicError::WildcardInName), Err(TopicError::MisplacedWildcard)),
        ("a/#/", Err(TopicError::WildcardInName), Err(TopicError::MisplacedWildcard)),
        ("a+/b", Err(TopicError::WildcardInName), Err(TopicError::MisplacedWildcard)),
        ("++", Err(TopicError::WildcardInName), Err(TopicError::MisplacedWildcard)),
    ];
    for (text, name, filter) in cases {
        assert_eq!(check_name(text), name, "{text:?}");
        assert_eq!(check_filter(text), filter, "{text:?}");
    }
}

#[test]
fn the_limits_are_those_of_aws_iot() {
    assert_eq!(check_name(&"a".repeat(256)), Ok(()));
    assert_eq!(check_name(&"a".repeat(257)), Err(TopicError::TooLong));
    assert_eq!(check_name(&"ä".repeat(129)), Err(TopicError::TooLong));
    assert_eq!(check_filter("1/2/3/4/5/6/7/8"), Ok(()));
    assert_eq!(check_filter("1/2/3/4/5/6/7/#"), Ok(()));
    assert_eq!(check_filter("1/2/3/4/5/6/7/8/9"), Err(TopicError::TooDeep));
    // The prefix `$aws/rules/NAME/` does not count.
    assert_eq!(check_name(&format!("$aws/rules/my_rule/1/2/3/4/5/6/7/{}", "a".repeat(242))), Ok(()));
    assert_eq!(check_name("$aws/rules/my_rule/1/2/3/4/5/6/7/8/9"), Err(TopicError::TooDeep));
    assert_eq!(check_name(&format!("$aws/rules/{}/a", "a".repeat(66_000))), Err(TopicError::TooLong));
    assert_eq!(check_name("$aws/rules/my_rule/"), Err(TopicError::Empty));
}

#[test]
fn a_shared_subscription_needs_a_group_and_a_filter() {
    let shared = |text| Subscription::parse(text);
    assert_eq!(shared("$share/g/a/+/#"), Ok(Subscription::Shared { group: "g", filter: "a/+/#" }));
    assert_eq!(shared("$share/g//"), Ok(Subscription::Shared { group: "g", filter: "/" }));
    assert_eq!(shared("$share/g/$aws/x").map(|shared| shared.filter()), Ok("$aws/x"));
    assert_eq!(shared("$share/g/1/2/3/4/5/6/7/8"), Ok(Subscription::Shared { group: "g", filter: "1/2/3/4/5/6/7/8" }));
    for text in ["$share/", "$share/g", "$share//a", "$share/g/", "$share/g+/a", "$share/#/a"] {
        assert_eq!(shared(text), Err(TopicError::MisshapenShare), "{text}");
    }
    assert_eq!(shared("$share/g/#/a"), Err(TopicError::MisplacedWildcard));
    assert_eq!(shared("$share/g\0/a"), Err(TopicError::Null));
    assert_eq!(shared("$shared/g/a"), Ok(Subscription::Own("$shared/g/a")));
    assert_eq!(shared("a/#"), Ok(Subscription::Own("a/#")));
}

/// The examples of MQTT 3.1.1, §4.7.1 and §4.7.2.
#[test]
fn filters_match_the_examples_of_the_standard() {
    let cases = [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/#", "sport", true),
        ("#", "sport/tennis", true),
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("#", "$SYS/broker", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS/", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ("+", "$SYS", false),
        ("a/+", "a/$b", true),
        ("a/#", "a/$b/c", true),
        ("sport", "Sport", false),
    ];
    for (filter, topic, expected) in cases {
        assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
    }
}

/// The matching rules of the standard, applied to lists of levels.
fn model(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => model(filter, topic),
        ([wanted, filter @ ..], [given, topic @ ..]) => wanted == given && model(filter, topic),
        _ => false,
    }
}

proptest! {
    #[test]
    fn filters_match_like_the_model(filter in "[ab$+#/]{1,8}", topic in "[ab$/]{1,8}") {
        prop_assume!(check_filter(&filter).is_ok());
        let levels = |text| str::split(text, '/').collect::<Vec<_>>();
        let reserved = topic.starts_with('$') && ["+", "#"].contains(&levels(filter.as_str())[0]);
        prop_assert_eq!(matches(&filter, &topic), !reserved && model(&levels(&filter), &levels(&topic)));
    }

    #[test]
    fn a_name_as_a_filter_matches_only_itself(name in "[ab$/]{1,8}", topic in "[ab$/]{1,8}") {
        prop_assert!(check_name(&name).is_ok() && !has_wildcard(&name));
        prop_assert_eq!(matches(&name, &topic), name == topic);
    }

    #[test]
    fn checks_do_not_panic_for_any_text(text in ".{0,40}") {
        let _ = (check_name(&text), check_filter(&text), Subscription::parse(&text));
    }
}
