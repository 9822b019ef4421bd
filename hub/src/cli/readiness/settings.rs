//! Checks of settings that are valid but do not work outside the trying mode.

use std::net::IpAddr;

use super::Finding;
use crate::settings::{Mode, Settings};

const SKILL: &str = "amzn1.ask.skill.";
const CLIENT: &str = "amzn1.application-oa2-client.";
/// The groups of hexadecimal digits of a UUID (RFC 9562, section 4).
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// Checks the settings of a hub.
pub fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![mail(settings), host(settings)];
    if let Mode::Real { client_id, .. } = &settings.mode {
        findings.extend(settings.skill_ids.iter().map(|id| skill(id)));
        findings.push(client(client_id));
    }
    findings
}

fn mail(settings: &Settings) -> Finding {
    match &settings.smtp {
        None if settings.trying() => Finding::ok("mail", format!("mail is put into {}", settings.mail.display())),
        None => Finding::warning(
            "mail",
            format!(
                "there is no mail server: the certificates of owners are put into {}, where no owner finds them. Name one by SMTP_URL",
                settings.mail.display()
            ),
        ),
        Some(_) if !settings.has_sender => Finding::warning(
            "mail",
            format!("mail comes from {}, which most mail servers refuse: say by MAIL_FROM who sends it", settings.sender.from.email),
        ),
        Some(_) => Finding::ok("mail", format!("mail comes from {}", settings.sender.from.email)),
    }
}

fn host(settings: &Settings) -> Finding {
    let host = &settings.host;
    if settings.trying() {
        return Finding::ok("host", format!("devices find this machine as {host}"));
    }
    if is_this_machine(host) {
        return Finding::warning(
            "host",
            format!("bundles say that the hub is at {host}, which is every device's own machine: name this one by --host"),
        );
    }
    if settings.mqtt.ip().is_loopback() {
        return Finding::warning(
            "host",
            format!(
                "devices are to connect to {host}, and {} takes connections of this machine only: say --mqtt 0.0.0.0:8883",
                settings.mqtt
            ),
        );
    }
    Finding::ok("host", format!("devices find this machine as {host}"))
}

/// Whether a name or address always refers to the machine that uses it.
pub(super) fn is_this_machine(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    name == "localhost" || name.ends_with(".localhost") || address.is_some_and(|address| address.is_loopback() || address.is_unspecified())
}

fn skill(id: &str) -> Finding {
    if id.strip_prefix(SKILL).is_some_and(is_uuid) {
        return Finding::ok("skill", format!("{id} may call"));
    }
    Finding::warning(
        "skill",
        format!("{id} is no skill id, which is `{SKILL}` and a UUID, and every request will be refused: see the developer console"),
    )
}

fn client(id: &str) -> Finding {
    if id.strip_prefix(CLIENT).is_some_and(|rest| rest.len() == 32 && is_hex(rest)) {
        return Finding::ok("client", "the client id is one of Login with Amazon's");
    }
    let says =
        format!("{id} is no client id of Login with Amazon, which is `{CLIENT}` and 32 hexadecimal digits, and nobody will be signed in");
    Finding::warning("client", says)
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == UUID.len() && groups.iter().zip(UUID).all(|(group, digits)| group.len() == digits && is_hex(group))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use onething::config::Source;

    use super::super::Verdict;
    use super::*;
    use crate::settings::Asked;

    struct Variables<'a>(&'a [(&'a str, &'a str)]);

    impl Source for Variables<'_> {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        }

        fn file(&self, _: &str) -> std::io::Result<String> {
            Err(std::io::ErrorKind::NotFound.into())
        }

        fn packaged_model(&self) -> std::io::Result<String> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    fn in_use() -> Asked {
        Asked {
            host: "hub.example.com".into(),
            mqtt: "0.0.0.0:8883".parse().unwrap(),
            skill_id: Some(format!("{SKILL}00000000-1111-4222-8333-444444444444")),
            lwa_client_id: Some(format!("{CLIENT}0123456789abcdef0123456789ABCDEF")),
            ..Asked::over(Path::new("data"))
        }
    }

    const MAIL: [(&str, &str); 2] = [("SMTP_URL", "smtps://user:secret@mail.example.com"), ("MAIL_FROM", "P <p@example.com>")];

    fn found(asked: Asked, variables: &[(&str, &str)]) -> Vec<Finding> {
        let settings = Settings::read(asked, &Variables(variables)).unwrap();
        let findings = check(&settings);
        assert!(findings.iter().all(|finding| !finding.says.contains("secret")), "{findings:?}");
        findings.into_iter().filter(|finding| finding.verdict != Verdict::Ok).collect()
    }

    /// Checks that there is exactly one finding, a warning of this check that contains these words.
    fn check_single_warning(asked: Asked, variables: &[(&str, &str)], test: &str, words: &str) {
        let [finding] = <[Finding; 1]>::try_from(found(asked, variables)).unwrap();
        assert!(finding.test == test && finding.says.contains(words) && finding.verdict == Verdict::Warning, "{finding:?}");
    }

    #[test]
    fn valid_settings_have_no_warnings() {
        assert_eq!(found(in_use(), &MAIL), []);
        assert_eq!(found(Asked::over(Path::new("data")), &[]), [], "the same in trying mode");
    }

    #[test]
    fn missing_settings_are_warnings_that_name_the_option() {
        check_single_warning(in_use(), &[], "mail", "SMTP_URL");
        check_single_warning(in_use(), &MAIL[..1], "mail", "MAIL_FROM");
        for host in ["localhost", "LOCALHOST", "hub.localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::ffff:127.0.0.1"] {
            check_single_warning(Asked { host: host.into(), ..in_use() }, &MAIL, "host", "--host");
        }
        check_single_warning(Asked { mqtt: "127.0.0.1:8883".parse().unwrap(), ..in_use() }, &MAIL, "host", "--mqtt");
    }

    #[test]
    fn a_malformed_skill_id_or_client_id_is_a_warning() {
        for rest in
            ["", "mine", "00000000-1111-4222-8333-44444444444", "00000000111142228333444444444444", "00000000-1111-4222-8333-44444444444g"]
        {
            check_single_warning(Asked { skill_id: Some(format!("{SKILL}{rest}")), ..in_use() }, &MAIL, "skill", "is no skill id");
        }
        let good = in_use().skill_id.unwrap();
        check_single_warning(Asked { skill_id: Some(format!("{good},{SKILL}x")), ..in_use() }, &MAIL, "skill", ".x is no skill id");
        for id in ["", "mine", &format!("{CLIENT}0123"), &format!("{CLIENT}0123456789abcdef0123456789abcdeg"), &good] {
            check_single_warning(Asked { lwa_client_id: Some(id.to_owned()), ..in_use() }, &MAIL, "client", "is no client id");
        }
    }
}
