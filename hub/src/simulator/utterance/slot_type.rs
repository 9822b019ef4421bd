//! The built-in slot types of Amazon (<https://developer.amazon.com/docs/alexa/custom-skills/slot-type-reference.html>).

use jiff::civil::DateTime;

use super::english;
use super::words::Phrase;

/// A built-in slot type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// The type converts words to a value.
    Value(ValueType),
    /// The type is a list of names that Amazon maintains; the name of the list without `AMAZON.`.
    Names(&'static str),
    /// The type accepts any words: `AMAZON.SearchQuery`.
    Phrase,
}

/// A built-in type that converts words to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `AMAZON.AlphaNumeric`.
    AlphaNumeric,
    /// `AMAZON.DATE`.
    Date,
    /// `AMAZON.DURATION`.
    Duration,
    /// `AMAZON.FOUR_DIGIT_NUMBER`.
    FourDigitNumber,
    /// `AMAZON.NUMBER`.
    Number,
    /// `AMAZON.Ordinal`.
    Ordinal,
    /// `AMAZON.PhoneNumber`.
    PhoneNumber,
    /// `AMAZON.TIME`.
    Time,
}

/// The types that are lists of names, without `AMAZON.`.
const NAMES: &[&str] = &[
    "AT_CITY",
    "AT_REGION",
    "Actor",
    "AdministrativeArea",
    "AggregateRating",
    "Airline",
    "Airport",
    "Anaphor",
    "Animal",
    "Artist",
    "Athlete",
    "Author",
    "Book",
    "BookSeries",
    "BroadcastChannel",
    "City",
    "CivicStructure",
    "Color",
    "Comic",
    "Corporation",
    "Country",
    "CreativeWorkType",
    "DE_CITY",
    "DE_FIRST_NAME",
    "DE_REGION",
    "DayOfWeek",
    "Dessert",
    "DeviceType",
    "Director",
    "Drink",
    "EUROPE_CITY",
    "EducationalOrganization",
    "EventType",
    "Festival",
    "FictionalCharacter",
    "FinancialService",
    "FirstName",
    "Food",
    "FoodEstablishment",
    "GB_CITY",
    "GB_FIRST_NAME",
    "GB_REGION",
    "Game",
    "Genre",
    "Landform",
    "LandmarksOrHistoricalBuildings",
    "Language",
    "LastName",
    "LocalBusiness",
    "LocalBusinessType",
    "MedicalOrganization",
    "Month",
    "Movie",
    "MovieSeries",
    "MovieTheater",
    "MusicAlbum",
    "MusicCreativeWorkType",
    "MusicEvent",
    "MusicGroup",
    "MusicPlaylist",
    "MusicRecording",
    "MusicVenue",
    "MusicVideo",
    "Musician",
    "Organization",
    "Person",
    "PostalAddress",
    "Professional",
    "ProfessionalType",
    "RadioChannel",
    "Region",
    "RelativePosition",
    "Residence",
    "Room",
    "ScreeningEvent",
    "Service",
    "SocialMediaPlatform",
    "SoftwareApplication",
    "SoftwareGame",
    "Sport",
    "SportsEvent",
    "SportsTeam",
    "StreetAddress",
    "StreetName",
    "TVEpisode",
    "TVSeason",
    "TVSeries",
    "TelevisionChannel",
    "US_CITY",
    "US_FIRST_NAME",
    "US_LAST_NAME",
    "US_STATE",
    "VideoGame",
    "VisualModeTrigger",
    "WeatherCondition",
    "WrittenCreativeWorkType",
];

/// The lists of common nouns, which are written in lower case.
const COMMON: &[&str] = &["Animal", "Color", "Dessert", "DeviceType", "Drink", "Food", "Genre", "Room", "Sport", "WeatherCondition"];

impl BuiltIn {
    /// The built-in type with this name; `None` if Amazon has no such type.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.strip_prefix("AMAZON.")?;
        Some(match name {
            "AlphaNumeric" => Self::Value(ValueType::AlphaNumeric),
            "DATE" => Self::Value(ValueType::Date),
            "DURATION" => Self::Value(ValueType::Duration),
            "FOUR_DIGIT_NUMBER" => Self::Value(ValueType::FourDigitNumber),
            "NUMBER" => Self::Value(ValueType::Number),
            "Ordinal" => Self::Value(ValueType::Ordinal),
            "PhoneNumber" => Self::Value(ValueType::PhoneNumber),
            "TIME" => Self::Value(ValueType::Time),
            "SearchQuery" => Self::Phrase,
            _ => Self::Names(NAMES.iter().find(|known| **known == name)?),
        })
    }

    /// Example words for a value of the type.
    pub fn example(self) -> &'static str {
        match self {
            Self::Value(ValueType::AlphaNumeric) => "j l nine oh five",
            Self::Value(ValueType::Date) => "tomorrow",
            Self::Value(ValueType::Duration) => "ten minutes",
            Self::Value(ValueType::FourDigitNumber) => "one two three four",
            Self::Value(ValueType::Number) => "two hundred",
            Self::Value(ValueType::Ordinal) => "second",
            Self::Value(ValueType::PhoneNumber) => "five five five one two one two",
            Self::Value(ValueType::Time) => "seven p.m.",
            Self::Names("FirstName" | "US_FIRST_NAME" | "GB_FIRST_NAME" | "DE_FIRST_NAME") => "sarah",
            Self::Names("City" | "US_CITY" | "EUROPE_CITY" | "DE_CITY" | "GB_CITY" | "AT_CITY") => "berlin",
            Self::Names("Color") => "red",
            Self::Names("DayOfWeek") => "monday",
            Self::Names("Month") => "may",
            Self::Names("Room") => "kitchen",
            Self::Names(_) | Self::Phrase => "something",
        }
    }
}

impl ValueType {
    /// Converts all words of a phrase to a value; `None` if they are not a value of the type.
    pub fn read(self, said: Phrase<'_>, now: DateTime) -> Option<String> {
        match self {
            ValueType::AlphaNumeric => english::digits::alphanumeric(said),
            ValueType::Date => english::date::date(said, now.date()),
            ValueType::Duration => english::duration::duration(said),
            ValueType::FourDigitNumber => english::digits::four_digits(said),
            // Most words cannot begin a number, so this check is fast.
            ValueType::Number => {
                said.word(0).filter(|word| english::number::begins_number(word)).and_then(|_| english::number::number(said))
            }
            ValueType::Ordinal => english::ordinal::ordinal(said).map(|number| number.to_string()),
            ValueType::PhoneNumber => english::digits::phone_number(said),
            ValueType::Time => english::time::time(said, now),
        }
    }
}

/// The spelling of a name from a list: capitalised, except for common nouns.
pub fn written(list: &str, said: &str) -> String {
    if COMMON.contains(&list) {
        return said.to_owned();
    }
    let capitalized = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    said.split(' ').map(capitalized).collect::<Vec<_>>().join(" ")
}

/// Whether all names of a list are known here.
pub fn is_closed(list: &str) -> bool {
    matches!(list, "DayOfWeek" | "Month")
}

/// Whether a phrase is a name from a list whose names are all known here.
pub fn is_on_list(list: &str, said: Phrase<'_>) -> bool {
    match list {
        "DayOfWeek" => english::date::is_weekday(said.text()),
        "Month" => english::date::is_month(said.text()),
        _ => false,
    }
}
