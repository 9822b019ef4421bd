//! The options for the credential of a registration. Secrets are read from files and variables, because every user of a machine
//! can see command lines. Only a claim code may be an argument: it is used up before others can use it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use onething::config::Source;
use thiserror::Error;
use zeroize::Zeroizing;

use super::credential::{Credential, DeviceDescription, Secret};

const TOKEN: &str = "ONETHING_DEVICE_TOKEN";
const BEARER: &str = "ONETHING_DEVICE_BEARER";
const SERIAL: &str = "ONETHING_DEVICE_SERIAL";
const SECRET: &str = "ONETHING_DEVICE_SECRET";
/// The file with the serial number of the board on Linux (Devicetree Specification, section 2.3).
const BOARD: &str = "/sys/firmware/devicetree/base/serial-number";
/// The largest length of a secret, in bytes. Tokens have at most 2 KB.
const SECRET_LIMIT: u64 = 4_096;

/// The credential for the registration. Secrets are given as files, `-` for standard input, or as variables.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RegisterOptions {
    /// The file with the token of the fleet; by default the variable ONETHING_DEVICE_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The file with the access token of an owner; by default the variable ONETHING_DEVICE_BEARER.
    #[arg(long, value_name = "FILE")]
    pub(crate) bearer_file: Option<PathBuf>,
    /// The file with the serial number; by default the variable ONETHING_DEVICE_SERIAL, then the serial number of the board.
    #[arg(long, value_name = "FILE")]
    pub(crate) serial_file: Option<PathBuf>,
    /// The file with the secret of the serial number; by default the variable ONETHING_DEVICE_SECRET.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// The type of the thing, where a fleet has several.
    #[arg(long, value_name = "TYPE")]
    pub(crate) thing_type: Option<String>,
    /// The version of the device's software; by default the version of this program.
    #[arg(long, value_name = "VERSION")]
    pub(crate) software: Option<String>,
    /// An additional attribute for the maker; may be given several times.
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    pub(crate) attributes: Vec<String>,
}

/// Why the options yield no credential.
#[derive(Debug, Error)]
pub(crate) enum OptionsError {
    /// A file from the command line cannot be read.
    #[error("{} cannot be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, io::ErrorKind),
    /// A file or variable is empty, has more than one line, or is not text.
    #[error("{0} holds no secret: one line of text is expected")]
    NotALine(String),
    /// More than one kind of credential was given.
    #[error("a device registers with one of a token, an access token and a serial number, and was given several")]
    Several,
    /// No credential was given.
    #[error("this device has nothing to register with: name one of --token-file, --bearer-file and --serial-file, or claim a code")]
    Nothing,
    /// An attribute has no value.
    #[error("--attribute takes NAME=VALUE, and {0:?} is not that")]
    Attribute(String),
}

impl RegisterOptions {
    /// The credential from the options, else from the variables, else from the serial number of the board.
    pub(crate) fn credential(&self, source: &impl Source) -> Result<Credential, OptionsError> {
        self.credential_of(source, Path::new(BOARD))
    }

    fn credential_of(&self, source: &impl Source, board: &Path) -> Result<Credential, OptionsError> {
        let named = [&self.token_file, &self.bearer_file, &self.serial_file].map(Option::as_deref);
        let given = match named.iter().flatten().count() {
            0 => {
                let [token, bearer, serial] = [TOKEN, BEARER, SERIAL].map(|name| variable(source, name));
                [token?, bearer?, serial?]
            }
            _ => {
                let [token, bearer, serial] = named.map(|path| path.map(file).transpose());
                [token?, bearer?, serial?]
            }
        };
        match given {
            [Some(token), None, None] => Ok(Credential::Token(token, self.portrait()?)),
            [None, Some(bearer), None] => Ok(Credential::Bearer(bearer)),
            [None, None, Some(serial)] => self.with_serial(serial, source),
            [None, None, None] if board.exists() => self.with_serial(file(board)?, source),
            [None, None, None] => Err(OptionsError::Nothing),
            _ => Err(OptionsError::Several),
        }
    }

    fn with_serial(&self, serial: Secret, source: &impl Source) -> Result<Credential, OptionsError> {
        let secret = match &self.secret_file {
            Some(path) => Some(file(path)?),
            None => variable(source, SECRET)?,
        };
        Ok(Credential::Serial(serial, secret, self.portrait()?))
    }

    fn portrait(&self) -> Result<DeviceDescription, OptionsError> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(OptionsError::Attribute(text.clone())),
        };
        let attributes: Result<BTreeMap<_, _>, _> = self.attributes.iter().map(pair).collect();
        let version = self.software.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
        Ok(DeviceDescription { thing_type: self.thing_type.clone(), version, attributes: attributes? })
    }
}

fn variable(source: &impl Source, name: &str) -> Result<Option<Secret>, OptionsError> {
    source.variable(name).map(|value| line(&Zeroizing::new(value.into_bytes()), name)).transpose()
}

fn file(path: &Path) -> Result<Secret, OptionsError> {
    let unreadable = |error: io::Error| OptionsError::Unreadable(path.to_owned(), error.kind());
    let mut content = Zeroizing::new(Vec::with_capacity(SECRET_LIMIT as usize + 1));
    let read = match path == Path::new("-") {
        true => io::stdin().lock().take(SECRET_LIMIT + 1).read_to_end(&mut content),
        false => File::open(path).and_then(|file| file.take(SECRET_LIMIT + 1).read_to_end(&mut content)),
    };
    read.map_err(unreadable)?;
    line(&content, &path.display().to_string())
}

/// The single line of text in `content`. A device tree terminates its strings with a NUL byte.
fn line(content: &[u8], from: &str) -> Result<Secret, OptionsError> {
    let fault = || OptionsError::NotALine(from.to_owned());
    let content = content.strip_suffix(b"\0").unwrap_or(content);
    let text = str::from_utf8(content).map_err(|_| fault())?.trim();
    let is_line = !text.is_empty() && text.len() as u64 <= SECRET_LIMIT && !text.contains(char::is_control);
    if is_line { Ok(text.to_owned().into()) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::ErrorKind;

    use super::*;

    struct Variables(HashMap<&'static str, &'static str>);

    impl Source for Variables {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }

        fn file(&self, path: &str) -> io::Result<String> {
            std::fs::read_to_string(path)
        }

        fn packaged_model(&self) -> io::Result<String> {
            Err(ErrorKind::NotFound.into())
        }
    }

    fn variables<const N: usize>(pairs: [(&'static str, &'static str); N]) -> Variables {
        Variables(HashMap::from(pairs))
    }

    fn choose(options: &RegisterOptions, variables: &Variables) -> Result<Credential, OptionsError> {
        options.credential_of(variables, Path::new("/nowhere/serial-number"))
    }

    #[test]
    fn options_precede_variables_and_variables_precede_the_board() {
        let place = tempfile::tempdir().unwrap();
        let (serial, none) = (place.path().join("serial"), RegisterOptions::default());
        std::fs::write(&serial, "00000000deadbeef\0").unwrap();
        let named = RegisterOptions { serial_file: Some(serial.clone()), ..RegisterOptions::default() };
        let token = variables([(TOKEN, "s3cret\n")]);
        assert!(matches!(choose(&named, &token), Ok(Credential::Serial(serial, None, _)) if serial.as_str() == "00000000deadbeef"));
        assert!(matches!(none.credential_of(&token, &serial), Ok(Credential::Token(token, _)) if token.as_str() == "s3cret"));
        assert!(matches!(none.credential_of(&variables([]), &serial), Ok(Credential::Serial(..))));
        assert!(matches!(choose(&none, &variables([(BEARER, "Atza|x")])), Ok(Credential::Bearer(_))));
        let secret = variables([(SERIAL, "SN-1"), (SECRET, "s3cret")]);
        assert!(matches!(choose(&none, &secret), Ok(Credential::Serial(_, Some(secret), _)) if secret.as_str() == "s3cret"));
        assert!(matches!(choose(&none, &variables([])), Err(OptionsError::Nothing)));
    }

    #[test]
    fn invalid_or_several_secrets_are_refused_without_being_shown() {
        let none = RegisterOptions::default();
        assert!(matches!(choose(&none, &variables([(TOKEN, "a"), (SERIAL, "b")])), Err(OptionsError::Several)));
        for value in ["", " ", "s3cret\ns3cret", "s3cret\u{1b}[2J"] {
            let error = choose(&none, &variables([(TOKEN, value)])).unwrap_err();
            assert!(matches!(error, OptionsError::NotALine(_)) && !format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        let missing = RegisterOptions { token_file: Some("/nowhere/token".into()), ..RegisterOptions::default() };
        let error = choose(&missing, &variables([])).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/token cannot be read: entity not found");
        let bad = RegisterOptions { attributes: vec!["hardware".into()], ..RegisterOptions::default() };
        assert!(matches!(choose(&bad, &variables([(TOKEN, "x")])), Err(OptionsError::Attribute(_))));
    }
}
